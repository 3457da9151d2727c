/* Notes each path that a process reads by name: what it opens, lists, looks at, or connects to.
 *
 * Preloaded (ld.so(8)). A line each, into the file that READS names: a letter, a space, the path.
 * o: opened; l: listed; s: its status, a symlink's text, an access, an attribute.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

static void note(char how, int directory, const char *path) {
    char line[9000], base[4096] = "", link[64];
    const char *where = getenv("READS");
    int log, size;
    if (!where || !path) return;
    if (*path != '/') {
        if (directory == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        if ((size = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1)) < 0) return;
        base[size] = 0;
    }
    size = snprintf(line, sizeof line, *base && *path ? "%c %s/%s\n" : "%c %s%s\n", how, base, path);
    log = syscall(SYS_openat, AT_FDCWD, where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log < 0) return;
    if (syscall(SYS_write, log, line, size) != size) abort();
    syscall(SYS_close, log);
}

#define REAL(type, name, parameters)                                            \
    static type(*real) parameters;                                             \
    if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name)

#define STATUS(type, name, directory, parameters, arguments)                    \
    type name parameters {                                                     \
        REAL(type, name, parameters);                                          \
        note('s', directory, path);                                            \
        return real arguments;                                                 \
    }

#define OPEN(name)                                                             \
    int name(const char *path, int flags, ...) {                               \
        va_list more;                                                          \
        va_start(more, flags);                                                 \
        int bits = va_arg(more, int);                                          \
        va_end(more);                                                          \
        REAL(int, name, (const char *, int, ...));                             \
        note('o', AT_FDCWD, path);                                             \
        return real(path, flags, bits);                                        \
    }

#define OPENAT(name)                                                           \
    int name(int directory, const char *path, int flags, ...) {                \
        va_list more;                                                          \
        va_start(more, flags);                                                 \
        int bits = va_arg(more, int);                                          \
        va_end(more);                                                          \
        REAL(int, name, (int, const char *, int, ...));                        \
        note('o', directory, path);                                            \
        return real(directory, path, flags, bits);                             \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

STATUS(int, stat, AT_FDCWD, (const char *path, struct stat *b), (path, b))
STATUS(int, stat64, AT_FDCWD, (const char *path, struct stat64 *b), (path, b))
STATUS(int, lstat, AT_FDCWD, (const char *path, struct stat *b), (path, b))
STATUS(int, lstat64, AT_FDCWD, (const char *path, struct stat64 *b), (path, b))
STATUS(int, fstatat, a, (int a, const char *path, struct stat *b, int c), (a, path, b, c))
STATUS(int, fstatat64, a, (int a, const char *path, struct stat64 *b, int c), (a, path, b, c))
STATUS(int, statx, a, (int a, const char *path, int b, unsigned c, struct statx *d), (a, path, b, c, d))
STATUS(ssize_t, readlink, AT_FDCWD, (const char *path, char *b, size_t c), (path, b, c))
STATUS(ssize_t, readlinkat, a, (int a, const char *path, char *b, size_t c), (a, path, b, c))
STATUS(int, access, AT_FDCWD, (const char *path, int b), (path, b))
STATUS(int, eaccess, AT_FDCWD, (const char *path, int b), (path, b))
STATUS(int, faccessat, a, (int a, const char *path, int b, int c), (a, path, b, c))
STATUS(int, statvfs, AT_FDCWD, (const char *path, struct statvfs *b), (path, b))
STATUS(int, statvfs64, AT_FDCWD, (const char *path, struct statvfs64 *b), (path, b))
STATUS(ssize_t, getxattr, AT_FDCWD, (const char *path, const char *b, void *c, size_t d), (path, b, c, d))
STATUS(ssize_t, lgetxattr, AT_FDCWD, (const char *path, const char *b, void *c, size_t d), (path, b, c, d))
STATUS(ssize_t, listxattr, AT_FDCWD, (const char *path, char *b, size_t c), (path, b, c))

DIR *opendir(const char *path) {
    REAL(DIR *, opendir, (const char *));
    note('l', AT_FDCWD, path);
    return real(path);
}

DIR *fdopendir(int descriptor) {
    REAL(DIR *, fdopendir, (int));
    note('l', descriptor, "");
    return real(descriptor);
}

int connect(int descriptor, const struct sockaddr *address, socklen_t size) {
    REAL(int, connect, (int, const struct sockaddr *, socklen_t));
    if (address->sa_family == AF_UNIX) note('s', AT_FDCWD, ((const struct sockaddr_un *)address)->sun_path);
    return real(descriptor, address, size);
}
