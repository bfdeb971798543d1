// Linux system calls whose headers the Glibc module does not export, and the variadic ones Swift cannot import.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <poll.h>
#include <resolv.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
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

// One ready descriptor, without epoll_event's union (which Swift sees as unsafe for its pointer).
struct parley_ready {
  uint32_t events;
  uint64_t token;
};

// Waits `nanoseconds` (< 0: for ever) and fills at most 128 entries. Returns their number, or -errno.
// epoll_pwait2 (Linux 5.11) has nanosecond time-outs; where it is missing the wait is rounded up to milliseconds.
static inline int parley_epoll_wait(int ep, struct parley_ready *out, int max, int64_t nanoseconds) {
  struct epoll_event events[128];
  if (max > 128) max = 128;
  struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
  long n = syscall(SYS_epoll_pwait2, ep, events, max, nanoseconds < 0 ? (void *)0 : &time, (void *)0, (size_t)0);
  if (n < 0 && errno == ENOSYS) n = epoll_wait(ep, events, max, nanoseconds < 0 ? -1 : (int)((nanoseconds + 999999) / 1000000));
  for (long i = 0; i < n; i++) {
    out[i].events = events[i].events;
    out[i].token = events[i].data.u64;
  }
  return n < 0 ? -errno : (int)n;
}

static inline uint32_t parley_epoll_bits(int read, int write) { return (read ? EPOLLIN : 0) | (write ? EPOLLOUT : 0); }
// For an eventfd whose counter is never read: an event for each write.
static inline uint32_t parley_epoll_edge(void) { return EPOLLIN | EPOLLET; }
static inline int parley_epoll_is_read(uint32_t bits) { return (bits & EPOLLIN) != 0; }
static inline int parley_epoll_is_write(uint32_t bits) { return (bits & EPOLLOUT) != 0; }
static inline int parley_epoll_is_hang_up(uint32_t bits) { return (bits & (EPOLLHUP | EPOLLERR)) != 0; }

static inline int parley_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
static inline int parley_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
static inline void parley_thread_name(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

// The number of names of an open file, -1 on failure. Asked without its times: since Linux 6.13 a file whose times were
// looked at gets a new one with its next write, and so does whatever is written after it.
static inline int64_t parley_link_count(int fd) {
  struct { uint32_t mask, block; uint64_t attributes; uint32_t links; uint8_t rest[236]; } found;
  long result = syscall(SYS_statx, fd, "", 0x1000 /* AT_EMPTY_PATH */, 4u /* STATX_NLINK */, &found);
  return result < 0 ? -1 : (int64_t)found.links;
}

// Memory that other processes share.
static inline int64_t parley_load(const int64_t *place) { return __atomic_load_n(place, __ATOMIC_ACQUIRE); }
static inline void parley_store(int64_t *place, int64_t value) { __atomic_store_n(place, value, __ATOMIC_RELEASE); }

static inline int parley_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }
// Rows and columns of a terminal; 0, or -1 with errno. TIOCGWINSZ without <sys/ioctl.h>, as above.
static inline int parley_terminal_size(int fd, uint16_t *rows, uint16_t *columns) {
  uint16_t size[4] = {0};
  long result = syscall(SYS_ioctl, fd, 0x5413ul, size);
  *rows = size[0];
  *columns = size[1];
  return result < 0 ? -1 : 0;
}
static inline int parley_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0u); }
static inline int parley_pidfd_send_signal(int pidfd, int signal) {
  return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, (void *)0, 0u);
}

static inline int parley_accept(int listener) {
  return (int)syscall(SYS_accept4, listener, (void *)0, (void *)0, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

// Accepts, and gives the peer's address: an IPv6 one, or an IPv4 one mapped into it (RFC 4291 section 2.5.5.2).
// `family` is AF_INET, AF_INET6, or AF_UNIX, which has no address.
static inline int parley_accept_from(int listener, uint8_t address[16], int *family) {
  struct sockaddr_storage peer;
  socklen_t length = sizeof peer;
  int result = (int)syscall(SYS_accept4, listener, &peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (result < 0) return result;
  *family = peer.ss_family;
  memset(address, 0, 16);
  // Offsets as in ip(7) and ipv6(7); <netinet/in.h> here would take declarations from the Glibc module.
  if (peer.ss_family == AF_INET) {
    address[10] = address[11] = 0xff;
    memcpy(address + 12, (const uint8_t *)&peer + 4, 4);
  } else if (peer.ss_family == AF_INET6) {
    memcpy(address, (const uint8_t *)&peer + 8, 16);
  }
  return result;
}

// The port that a TCP socket is bound to, in host order; -1 for any other.
static inline int parley_bound_port(int descriptor) {
  struct sockaddr_storage own;
  socklen_t length = sizeof own;
  if (getsockname(descriptor, (struct sockaddr *)&own, &length) < 0) return -1;
  if (own.ss_family != AF_INET && own.ss_family != AF_INET6) return -1;
  const uint8_t *bytes = (const uint8_t *)&own;
  return bytes[2] << 8 | bytes[3];
}

// These are declared only for _GNU_SOURCE, which module imports do not set.
static inline int parley_pipe(int *ends) { return (int)syscall(SYS_pipe2, ends, O_CLOEXEC); }
extern int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);

// res_query(3) is a macro; since glibc 2.34 its function is in the C library. Class IN.
static inline int parley_dns_query(const char *name, int type, unsigned char *answer, int size) {
  return res_query(name, 1, type, answer, size);
}
static inline int parley_dns_error(void) { return h_errno; }
// The same of one name server at a port of 127.0.0.1 instead of those of resolv.conf, which cannot name ports.
static inline int parley_dns_query_at(uint16_t port, const char *name, int type, unsigned char *answer, int size) {
  struct __res_state state;
  memset(&state, 0, sizeof state);
  if (res_ninit(&state) < 0) return -1;
  state.nscount = 1;
  state.nsaddr_list[0].sin_family = AF_INET;
  state.nsaddr_list[0].sin_port = __builtin_bswap16(port);
  state.nsaddr_list[0].sin_addr.s_addr = __builtin_bswap32(0x7f000001);
  int length = res_nquery(&state, name, 1, type, answer, size);
  res_nclose(&state);
  return length;
}
