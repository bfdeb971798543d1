// Linux system calls whose headers the Glibc module does not export, and the variadic ones Swift cannot import.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static inline int parley_epoll_add(int ep, int fd, uint32_t events, uint64_t token) {
  struct epoll_event e = {.events = events, .data = {.u64 = token}};
  return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}
static inline int parley_epoll_modify(int ep, int fd, uint32_t events, uint64_t token) {
  struct epoll_event e = {.events = events, .data = {.u64 = token}};
  return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
}
static inline int parley_epoll_remove(int ep, int fd) { return epoll_ctl(ep, EPOLL_CTL_DEL, fd, 0); }

// epoll_pwait2 (Linux 5.11) has nanosecond time-outs. Returns -ENOSYS where the kernel is older.
static inline int parley_epoll_wait(int ep, struct epoll_event *out, int max, const struct timespec *timeout) {
  long n = syscall(SYS_epoll_pwait2, ep, out, max, timeout, (void *)0, (size_t)0);
  return n < 0 ? -errno : (int)n;
}

static inline int parley_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }
static inline int parley_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0u); }
static inline int parley_pidfd_send_signal(int pidfd, int signal) {
  return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, (void *)0, 0u);
}
