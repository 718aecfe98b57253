/* Writes down every change of files below one folder, as the C library is asked for it, by all processes of a program.

       cc -shared -fPIC -o preload.so preload.c
       RECORDED_FOLDER=/abs/folder RECORD=/abs/elsewhere LD_PRELOAD=/abs/preload.so PROGRAM …

   Each operation is carried out and written down while the record is locked, so the record has one order over all
   processes. Files and folders are named by their inode numbers, names in hexadecimal; one line each:

       create INODE FOLDER NAME     mkdir INODE FOLDER NAME     write INODE OFFSET BYTES     truncate INODE SIZE
       sync INODE     rename FOLDER NAME FOLDER NAME     link FOLDER NAME FOLDER NAME     remove FOLDER NAME

   What goes past the C library (system calls of a program's own, mappings of files) is not seen. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX], record[PATH_MAX];
static size_t n_folder;

__attribute__((constructor)) static void begin(void) {
    const char *asked = getenv("RECORDED_FOLDER"), *path = getenv("RECORD");
    if (asked && path && strlen(asked) < sizeof folder && strlen(path) < sizeof record) {
        strcpy(record, path);
        strcpy(folder, asked);
        n_folder = strlen(folder);
    }
}

/* Where a path lies: its folder, open, with its inode number; the last part of the path. */
struct place {
    int fd;
    unsigned long folder;
    char name[NAME_MAX + 1];
};

static int is_below(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < (ssize_t)n_folder) return 0;
    path[n] = 0;
    return !strncmp(path, folder, n_folder) && (path[n_folder] == '/' || !path[n_folder]);
}

static int find(int at, const char *path, struct place *found) {
    char parent[PATH_MAX];
    int saved = errno, is_found = 0;
    struct stat facts;
    size_t n = path && n_folder ? strlen(path) : 0;
    if (!n || n >= sizeof parent) return 0;
    strcpy(parent, path);
    while (n > 1 && parent[n - 1] == '/') parent[--n] = 0;
    char *slash = strrchr(parent, '/'), *name = slash ? slash + 1 : parent;
    if (!*name || strlen(name) > NAME_MAX) return 0;
    strcpy(found->name, name);
    if (slash) *(slash == parent ? slash + 1 : slash) = 0;
    found->fd = syscall(SYS_openat, at, slash ? parent : ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (found->fd >= 0) {
        is_found = is_below(found->fd) && !fstat(found->fd, &facts);
        found->folder = facts.st_ino;
        if (!is_found) close(found->fd);
    }
    errno = saved;
    return is_found;
}

static unsigned long inode_in(const struct place *place) {
    struct stat facts;
    int saved = errno;
    unsigned long inode = fstatat(place->fd, place->name, &facts, AT_SYMLINK_NOFOLLOW) ? 0 : facts.st_ino;
    errno = saved;
    return inode;
}

/* The inode of a file or folder below the recorded one; 0 for every other descriptor. */
static unsigned long inode_of(int fd) {
    struct stat facts;
    int saved = errno;
    unsigned long inode = 0;
    if (n_folder && !fstat(fd, &facts) && (S_ISREG(facts.st_mode) || S_ISDIR(facts.st_mode)) && is_below(fd))
        inode = facts.st_ino;
    errno = saved;
    return inode;
}

static int locked(void) {
    int saved = errno, fd = syscall(SYS_openat, AT_FDCWD, record, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) abort();
    while (flock(fd, LOCK_EX)) if (errno != EINTR) abort();
    errno = saved;
    return fd;
}

static void unlock(int fd) {
    int saved = errno;
    flock(fd, LOCK_UN); /* a process that was forked meanwhile has the descriptor too */
    syscall(SYS_close, fd);
    errno = saved;
}

static void put(int fd, const char *text, size_t n) {
    while (n) {
        ssize_t done = syscall(SYS_write, fd, text, n);
        if (done < 0) abort();
        text += done, n -= done;
    }
}

static void put_hex(int fd, const void *data, size_t n) {
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;
    char *text = malloc(2 * n + 1);
    if (!text) abort();
    for (size_t i = 0; i < n; i++) text[2 * i] = digits[bytes[i] >> 4], text[2 * i + 1] = digits[bytes[i] & 15];
    put(fd, text, 2 * n);
    free(text);
}

/* In FORMAT, %u is an unsigned long and %n the hexadecimal form of a name. */
static void note(int fd, const char *format, ...) {
    int saved = errno;
    va_list given;
    va_start(given, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(fd, format, 1);
        } else if (*++format == 'u') {
            char number[32];
            put(fd, number, snprintf(number, sizeof number, "%lu", va_arg(given, unsigned long)));
        } else {
            const char *name = va_arg(given, const char *);
            put_hex(fd, name, strlen(name));
        }
    }
    va_end(given);
    put(fd, "\n", 1);
    errno = saved;
}

static int open_at(int at, const char *path, int flags, mode_t mode) {
    struct place place;
    if (!(flags & (O_CREAT | O_TRUNC)) || !find(at, path, &place)) return syscall(SYS_openat, at, path, flags, mode);
    int log = locked(), was_there = inode_in(&place) != 0;
    int fd = syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0 && !was_there) note(log, "create %u %u %n", inode_in(&place), place.folder, place.name);
    else if (fd >= 0 && flags & O_TRUNC) note(log, "truncate %u 0", inode_of(fd));
    unlock(log);
    syscall(SYS_close, place.fd);
    return fd;
}

#define MODE(last) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { va_list given; va_start(given, last); mode = va_arg(given, mode_t); va_end(given); }

int open(const char *path, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return open_at(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return open_at(at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

static void note_write(int log, unsigned long inode, unsigned long offset, const void *data, ssize_t done) {
    if (done <= 0) return;
    int saved = errno;
    char text[96];
    put(log, text, snprintf(text, sizeof text, "write %lu %lu ", inode, offset));
    put_hex(log, data, done);
    put(log, "\n", 1);
    errno = saved;
}

ssize_t write(int fd, const void *data, size_t n) {
    unsigned long inode = inode_of(fd);
    if (!inode) return syscall(SYS_write, fd, data, n);
    int log = locked();
    ssize_t done = syscall(SYS_write, fd, data, n);
    if (done > 0) note_write(log, inode, lseek(fd, 0, SEEK_CUR) - done, data, done);
    unlock(log);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
    if (!inode_of(fd)) return syscall(SYS_writev, fd, parts, n);
    ssize_t total = 0;
    for (int i = 0; i < n; i++) { /* one after the other, as a short write may do */
        ssize_t done = write(fd, parts[i].iov_base, parts[i].iov_len);
        if (done < 0) return total ? total : done;
        total += done;
        if ((size_t)done < parts[i].iov_len) break;
    }
    return total;
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset) {
    unsigned long inode = inode_of(fd);
    if (!inode) return syscall(SYS_pwrite64, fd, data, n, offset);
    int log = locked();
    ssize_t done = syscall(SYS_pwrite64, fd, data, n, offset);
    note_write(log, inode, offset, data, done);
    unlock(log);
    return done;
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t offset) { return pwrite64(fd, data, n, offset); }

int ftruncate64(int fd, off64_t size) {
    unsigned long inode = inode_of(fd);
    if (!inode) return syscall(SYS_ftruncate, fd, size);
    int log = locked(), code = syscall(SYS_ftruncate, fd, size);
    if (!code) note(log, "truncate %u %u", inode, (unsigned long)size);
    unlock(log);
    return code;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int sync_by(long number, int fd) {
    unsigned long inode = inode_of(fd);
    if (!inode) return syscall(number, fd);
    int log = locked(), code = syscall(number, fd);
    if (!code) note(log, "sync %u", inode);
    unlock(log);
    return code;
}
int fsync(int fd) { return sync_by(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_by(SYS_fdatasync, fd); }

static int mkdir_at(int at, const char *path, mode_t mode) {
    struct place place;
    if (!find(at, path, &place)) return syscall(SYS_mkdirat, at, path, mode);
    int log = locked(), code = syscall(SYS_mkdirat, at, path, mode);
    if (!code) note(log, "mkdir %u %u %n", inode_in(&place), place.folder, place.name);
    unlock(log);
    syscall(SYS_close, place.fd);
    return code;
}
int mkdir(const char *path, mode_t mode) { return mkdir_at(AT_FDCWD, path, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return mkdir_at(at, path, mode); }

static int remove_at(int at, const char *path, int flags) {
    struct place place;
    if (!find(at, path, &place)) return syscall(SYS_unlinkat, at, path, flags);
    int log = locked(), code = syscall(SYS_unlinkat, at, path, flags);
    if (!code) note(log, "remove %u %n", place.folder, place.name);
    unlock(log);
    syscall(SYS_close, place.fd);
    return code;
}
int unlink(const char *path) { return remove_at(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return remove_at(at, path, flags); }
int rmdir(const char *path) { return remove_at(AT_FDCWD, path, AT_REMOVEDIR); }

static int name_anew(const char *what, int from, const char *old, int to, const char *new, long number, int flags) {
    struct place a, b;
    if (!find(from, old, &a)) return syscall(number, from, old, to, new, flags);
    if (!find(to, new, &b)) abort(); /* out of the recorded folder: nothing here does so */
    int log = locked(), code = syscall(number, from, old, to, new, flags);
    if (!code) {
        put(log, what, strlen(what));
        note(log, " %u %n %u %n", a.folder, a.name, b.folder, b.name);
    }
    unlock(log);
    syscall(SYS_close, a.fd);
    syscall(SYS_close, b.fd);
    return code;
}
int rename(const char *old, const char *new) { return name_anew("rename", AT_FDCWD, old, AT_FDCWD, new, SYS_renameat2, 0); }
int renameat(int from, const char *old, int to, const char *new) { return name_anew("rename", from, old, to, new, SYS_renameat2, 0); }
int link(const char *old, const char *new) { return name_anew("link", AT_FDCWD, old, AT_FDCWD, new, SYS_linkat, 0); }
int linkat(int from, const char *old, int to, const char *new, int flags) { return name_anew("link", from, old, to, new, SYS_linkat, flags); }
