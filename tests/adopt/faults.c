/* Counts the calls that write, and at the one that was asked for kills the process or fails.
 *
 * Preloaded (ld.so(8)); a test arms it by way of ctypes. `fault_always` lets one call fail each
 * time, as on a file system that does not have it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdarg.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

static long at = -1, seen = 0;
static int armed = 0, kind = 0, always = 0, reading = 0;
static char which[32], hit[32];

/* Count the calls that read instead of those that write. */
void fault_reading(void) { reading = 1; }
/* Arm: from now on calls count; the `point`th (from 0) gets errno `what`, or SIGKILL where -1. */
void fault_arm(long point, int what) { at = point; kind = what; seen = 0; hit[0] = 0; armed = 1; }
long fault_seen(void) { return seen; }
const char *fault_hit(void) { return hit; }
void fault_always(const char *name, int what) { strncpy(which, name, sizeof which - 1); always = what; }

static int hits(const char *name) {
    if (seen++ != at) return 0;
    strncpy(hit, name, sizeof hit - 1);
    if (kind < 0) { kill(getpid(), SIGKILL); for (;;) pause(); }
    errno = kind;
    return 1;
}

static int fails(const char *name) {
    if (!armed) return 0;
    if (always && !strcmp(name, which)) { errno = always; return 1; }
    return reading ? 0 : hits(name);
}

static int fails_to_read(const char *name) { return armed && reading && hits(name); }

#define WRAP(type, name, parameters, arguments)                                    \
    type name parameters {                                                         \
        static type(*real) parameters;                                             \
        if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name);             \
        return fails(#name) ? -1 : real arguments;                                 \
    }

WRAP(int, linkat, (int a, const char *b, int c, const char *d, int e), (a, b, c, d, e))
WRAP(int, link, (const char *a, const char *b), (a, b))
WRAP(int, mkdirat, (int a, const char *b, mode_t c), (a, b, c))
WRAP(int, mkdir, (const char *a, mode_t b), (a, b))
WRAP(int, symlinkat, (const char *a, int b, const char *c), (a, b, c))
WRAP(int, symlink, (const char *a, const char *b), (a, b))
WRAP(int, unlinkat, (int a, const char *b, int c), (a, b, c))
WRAP(int, unlink, (const char *a), (a))
WRAP(int, rmdir, (const char *a), (a))
WRAP(int, rename, (const char *a, const char *b), (a, b))
WRAP(int, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d))
WRAP(int, fchown, (int a, uid_t b, gid_t c), (a, b, c))
WRAP(int, fchmod, (int a, mode_t b), (a, b))
WRAP(int, futimens, (int a, const struct timespec b[2]), (a, b))
WRAP(int, utimensat, (int a, const char *b, const struct timespec c[2], int d), (a, b, c, d))
WRAP(int, fsetxattr, (int a, const char *b, const void *c, size_t d, int e), (a, b, c, d, e))
WRAP(int, fremovexattr, (int a, const char *b), (a, b))
WRAP(ssize_t, write, (int a, const void *b, size_t c), (a, b, c))
WRAP(ssize_t, pwrite, (int a, const void *b, size_t c, off_t d), (a, b, c, d))
WRAP(ssize_t, pwrite64, (int a, const void *b, size_t c, off64_t d), (a, b, c, d))
WRAP(ssize_t, copy_file_range,
     (int a, off64_t *b, int c, off64_t *d, size_t e, unsigned f), (a, b, c, d, e, f))
WRAP(ssize_t, sendfile, (int a, int b, off_t *c, size_t d), (a, b, c, d))
WRAP(ssize_t, sendfile64, (int a, int b, off64_t *c, size_t d), (a, b, c, d))

#define WRAP_READ(type, name, parameters, arguments)                               \
    type name parameters {                                                         \
        static type(*real) parameters;                                             \
        if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name);             \
        return fails_to_read(#name) ? -1 : real arguments;                         \
    }

WRAP_READ(ssize_t, pread, (int a, void *b, size_t c, off_t d), (a, b, c, d))
WRAP_READ(ssize_t, pread64, (int a, void *b, size_t c, off64_t d), (a, b, c, d))
WRAP_READ(int, fstat, (int a, struct stat *b), (a, b))
WRAP_READ(int, fstat64, (int a, struct stat64 *b), (a, b))
WRAP_READ(int, fstatat, (int a, const char *b, struct stat *c, int d), (a, b, c, d))
WRAP_READ(int, fstatat64, (int a, const char *b, struct stat64 *c, int d), (a, b, c, d))
WRAP_READ(int, lstat, (const char *a, struct stat *b), (a, b))
WRAP_READ(int, lstat64, (const char *a, struct stat64 *b), (a, b))
WRAP_READ(ssize_t, readlink, (const char *a, char *b, size_t c), (a, b, c))
WRAP_READ(ssize_t, flistxattr, (int a, char *b, size_t c), (a, b, c))
WRAP_READ(ssize_t, fgetxattr, (int a, const char *b, void *c, size_t d), (a, b, c, d))

/* Nothing is really written out: a killed process loses nothing that the kernel has. */
int syncfs(int a) { (void)a; return fails("syncfs") ? -1 : 0; }
int fsync(int a) { (void)a; return fails("fsync") ? -1 : 0; }

int renameat2(int a, const char *b, int c, const char *d, unsigned e) {
    static int (*real)(int, const char *, int, const char *, unsigned);
    if (!real) real = (int (*)(int, const char *, int, const char *, unsigned))
        dlsym(RTLD_NEXT, "renameat2");
    return fails(e == RENAME_EXCHANGE ? "exchange" : "noreplace") ? -1 : real(a, b, c, d, e);
}

#define WRAP_OPEN(name)                                                            \
    int name(int a, const char *b, int c, ...) {                                   \
        static int (*real)(int, const char *, int, ...);                           \
        if (!real) real = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, #name); \
        mode_t mode = 0;                                                           \
        if (c & O_CREAT) { va_list list; va_start(list, c); mode = va_arg(list, mode_t); va_end(list); } \
        int failed = (c & O_CREAT) ? fails("creat") : fails_to_read(#name);       \
        return failed ? -1 : real(a, b, c, mode);         \
    }
WRAP_OPEN(openat)
WRAP_OPEN(openat64)
