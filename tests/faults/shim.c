/* Preloaded into a program to make system calls fail, or its clock fall back. See shims.py.
 *
 * FAULT_CALL   which calls fail: write, fsync, rename or read
 * FAULT_PATH   on files whose path holds this
 * FAULT_AFTER  how many such calls a process makes before the first that fails
 * FAULT_FOR    how many fail from there on
 * FAULT_ERRNO  with what
 * FAULT_CLOCK_AFTER_MS, FAULT_CLOCK_STEP_S  when the time of day is changed, and by how much
 * FAULT_HIT    a file that is made as soon as one of these happened
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static atomic_long calls;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

/* Without the calls that are replaced here. */
static void tell(void) {
    static atomic_flag told = ATOMIC_FLAG_INIT;
    const char *mark = getenv("FAULT_HIT");
    if (!mark || atomic_flag_test_and_set(&told)) return;
    int before = errno;
    long fd = syscall(SYS_openat, AT_FDCWD, mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) syscall(SYS_close, fd);
    errno = before;
}

/* 1, with errno set, if this call is one that has to fail. */
static int fails(const char *call, const char *path) {
    const char *wanted = getenv("FAULT_CALL"), *where = getenv("FAULT_PATH");
    if (!wanted || !where || !path || strcmp(call, wanted) || !strstr(path, where)) return 0;
    long made = atomic_fetch_add(&calls, 1) - number("FAULT_AFTER", 0);
    if (made < 0 || made >= number("FAULT_FOR", 1)) return 0;
    tell();
    errno = (int)number("FAULT_ERRNO", EIO);
    return 1;
}

static int fails_on(const char *call, int fd) {
    char link[64], path[4096];
    int before = errno;
    if (!getenv("FAULT_CALL")) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    errno = before;
    if (size < 0) return 0;
    path[size] = 0;
    return fails(call, path);
}

ssize_t write(int fd, const void *data, size_t size) {
    return fails_on("write", fd) ? -1 : REAL(write)(fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return fails_on("write", fd) ? -1 : REAL(pwrite64)(fd, data, size, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return fails_on("write", fd) ? -1 : REAL(writev)(fd, parts, count);
}

ssize_t read(int fd, void *data, size_t size) {
    return fails_on("read", fd) ? -1 : REAL(read)(fd, data, size);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t at) {
    return fails_on("read", fd) ? -1 : REAL(pread64)(fd, data, size, at);
}

int fsync(int fd) { return fails_on("fsync", fd) ? -1 : REAL(fsync)(fd); }

int fdatasync(int fd) { return fails_on("fsync", fd) ? -1 : REAL(fdatasync)(fd); }

int rename(const char *from, const char *to) {
    return fails("rename", to) ? -1 : REAL(rename)(from, to);
}

int renameat2(int a, const char *from, int b, const char *to, unsigned int flags) {
    return fails("rename", to) ? -1 : (int)syscall(SYS_renameat2, a, from, b, to, flags);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static atomic_long begin_ms;
    int result = REAL(clock_gettime)(clock, time);
    const char *after = getenv("FAULT_CLOCK_AFTER_MS");
    if (result || !after || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return result;
    struct timespec steady;
    REAL(clock_gettime)(CLOCK_MONOTONIC, &steady);
    long now_ms = steady.tv_sec * 1000 + steady.tv_nsec / 1000000, none = 0;
    atomic_compare_exchange_strong(&begin_ms, &none, now_ms);
    if (now_ms - atomic_load(&begin_ms) >= atol(after)) {
        time->tv_sec += number("FAULT_CLOCK_STEP_S", 0);
        tell();
    }
    return 0;
}

int gettimeofday(struct timeval *restrict when, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    when->tv_sec = now.tv_sec;
    when->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *when) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (when) *when = now.tv_sec;
    return now.tv_sec;
}
