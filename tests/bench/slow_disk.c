/* Preloaded before the C library (ld.so(8), LD_PRELOAD): counts every fsync and fdatasync of a process in
   the first eight bytes of the file BENCH_SYNC_COUNT, and waits BENCH_SYNC_DELAY_US before each. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t *count;
static long delay_us;

__attribute__((constructor)) static void begin(void) {
    const char *delay = getenv("BENCH_SYNC_DELAY_US"), *path = getenv("BENCH_SYNC_COUNT");
    delay_us = delay ? atol(delay) : 0;
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *page = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    count = page == MAP_FAILED ? NULL : page;
    close(file);
}

static void before(void) {
    if (count)
        atomic_fetch_add(count, 1);
    struct timespec left = {delay_us / 1000000, delay_us % 1000000 * 1000};
    while (delay_us && nanosleep(&left, &left))
        ;
}

int fsync(int file) {
    before();
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    before();
    return (int)syscall(SYS_fdatasync, file);
}
