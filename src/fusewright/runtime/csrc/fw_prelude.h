/* The first line of every generated kernel includes this: integers, vectors, mathematics. */
#ifndef FW_PRELUDE_H
#define FW_PRELUDE_H

#include <stdint.h>

#if __has_include("fw_kernel.h") && __has_include("fw_math.h")
#include "fw_kernel.h"
#endif

#endif
