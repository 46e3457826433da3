/* Best bid and ask of one instrument, read from outside Python: `top_of_book ROOT_FILE SYMBOL` prints "version price quantity price quantity".
 * The layout is the generated header's; the steps are those of shm_exchange/snapshot/slots.py. */
#define _POSIX_C_SOURCE 200809L
#include "shm_exchange.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_TRIES = 8 };

static int64_t load(const int64_t *word, memory_order order)
{
    return atomic_load_explicit((const _Atomic int64_t *)word, order);
}

static const void *map_file(const char *path, size_t at_least)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0 || (size_t)status.st_size < at_least)
        return NULL;
    void *memory = mmap(NULL, at_least, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    return memory == MAP_FAILED ? NULL : memory;
}

static int64_t instrument_of(const char *memory, const shmx_config *config, const char *symbol)
{
    const shmx_instrument *instruments = (const void *)(memory + SHMX_INSTRUMENTS_OFFSET);
    for (int64_t index = 0; index < config->instrument_count; index++)
        if (!strncmp(instruments[index].symbol, symbol, SHMX_NAME_BYTES))
            return index;
    return -1;
}

/* Copy the best level of each side. Returns the version; 0 = none yet, -1 = overtaken eight times. A side without levels keeps quantity 0. */
static int64_t read_top(const char *memory, const shmx_layout *layout, int64_t depth, int64_t instrument, shmx_price_level top[2])
{
    const shmx_snapshot_latest *latest = (const shmx_snapshot_latest *)(memory + layout->snapshot_latest.offset) + instrument;
    const shmx_snapshot *heads = (const void *)(memory + layout->snapshots.offset);
    const shmx_price_level *levels = (const void *)(memory + layout->snapshot_levels.offset);
    for (int attempt = 0; attempt < READ_TRIES; attempt++) {
        int64_t version = load(&latest->version, memory_order_acquire);
        if (version == 0)
            return 0;
        int64_t slot = instrument * SHMX_SNAPSHOT_SLOTS + version % SHMX_SNAPSHOT_SLOTS;
        if (load(&heads[slot].stamp, memory_order_acquire) != 2 * version)
            continue;
        const int64_t *counts[2] = {&heads[slot].bid_count, &heads[slot].ask_count};
        for (int side = 0; side < 2; side++) {
            const shmx_price_level *best = &levels[(slot * 2 + side) * depth];
            int any = load(counts[side], memory_order_relaxed) > 0;
            top[side].price_ticks = any ? load(&best->price_ticks, memory_order_relaxed) : 0;
            top[side].quantity = any ? load(&best->quantity, memory_order_relaxed) : 0;
        }
        atomic_thread_fence(memory_order_acquire);
        if (load(&heads[slot].stamp, memory_order_relaxed) == 2 * version)
            return version;
    }
    return -1;
}

int main(int count, char **arguments)
{
    char path[4096];
    if (count != 3)
        return fprintf(stderr, "usage: top_of_book ROOT_FILE SYMBOL\n"), 2;
    const shmx_root *root = map_file(arguments[1], sizeof *root);
    if (!root || load(&root->magic, memory_order_acquire) != SHMX_MAGIC)
        return fprintf(stderr, "no exchange at %s\n", arguments[1]), 1;
    if (root->version != SHMX_LAYOUT_VERSION || root->digest != SHMX_LAYOUT_DIGEST)
        return fprintf(stderr, "another layout: version %" PRId64 ", digest %#" PRIx64 "\n", root->version, (uint64_t)root->digest), 1;
    snprintf(path, sizeof path, "%s.%" PRId64, arguments[1], root->generation);
    const char *memory = map_file(path, (size_t)root->data_bytes);
    if (!memory)
        return fprintf(stderr, "cannot map %s\n", path), 1;
    const shmx_config *config = (const void *)memory;
    const shmx_layout layout = shmx_layout_of(config);
    int64_t instrument = instrument_of(memory, config, arguments[2]);
    if (layout.size != (uint64_t)root->data_bytes || instrument < 0)
        return fprintf(stderr, "no instrument %s, or not the size this header computes\n", arguments[2]), 1;
    shmx_price_level top[2];
    int64_t version = read_top(memory, &layout, config->depth, instrument, top);
    if (version < 0)
        return fprintf(stderr, "busy\n"), 1;
    printf("%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n", version, top[0].price_ticks, top[0].quantity, top[1].price_ticks,
           top[1].quantity);
    return 0;
}
