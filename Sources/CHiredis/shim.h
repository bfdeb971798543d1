// hiredis' parser alone: the bytes are moved by the runtime's own stream.
#pragma once
#include <hiredis/hiredis.h>
#include <hiredis/read.h>
