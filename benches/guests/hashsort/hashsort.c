// A chained map from strings, an open-addressing map from integers, and libc's qsort with two
// comparison functions over what they hold.
#include "../bench.h"

struct entry {
    struct entry *next;
    char *key;
    uint32_t hash, count;
};

struct map {
    struct entry **buckets;
    uint32_t mask, len;
};

static uint32_t hash_text(const char *s) {
    uint32_t h = 2166136261u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 16777619u;
    return h ^ h >> 13;
}

static void map_grow(struct map *map) {
    uint32_t mask = map->mask * 2 + 1;
    struct entry **buckets = calloc(mask + 1u, sizeof *buckets);
    for (uint32_t i = 0; i <= map->mask; i++)
        for (struct entry *e = map->buckets[i], *next; e; e = next) {
            next = e->next;
            e->next = buckets[e->hash & mask];
            buckets[e->hash & mask] = e;
        }
    free(map->buckets);
    map->buckets = buckets;
    map->mask = mask;
}

static struct entry *map_get(struct map *map, const char *key) {
    uint32_t hash = hash_text(key);
    for (struct entry *e = map->buckets[hash & map->mask]; e; e = e->next)
        if (e->hash == hash && !strcmp(e->key, key)) return e;
    if (map->len++ > map->mask) map_grow(map);
    struct entry *e = malloc(sizeof *e);
    *e = (struct entry){map->buckets[hash & map->mask], strdup(key), hash, 0};
    return map->buckets[hash & map->mask] = e;
}

struct slot {
    uint64_t key; // 0: free
    uint32_t value;
};

#define SLOTS (1u << 16)
static struct slot slots[SLOTS];

static uint32_t *slot_of(uint64_t key) {
    uint32_t i = (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 48);
    while (slots[i].key && slots[i].key != key) i = (i + 1) & (SLOTS - 1);
    slots[i].key = key;
    return &slots[i].value;
}

static int by_count(const void *a, const void *b) {
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return strcmp(x->key, y->key);
}

static int by_key(const void *a, const void *b) {
    uint64_t x = ((const struct slot *)a)->key, y = ((const struct slot *)b)->key;
    return x < y ? -1 : x > y;
}

static uint32_t hashsort_round(void) {
    rng_seed(7919);
    struct map map = {calloc(16, sizeof(struct entry *)), 15, 0};
    memset(slots, 0, sizeof slots);
    for (int i = 0; i < 60000; i++) {
        uint32_t r = rng();
        uint32_t skewed = (r & 0xff) < 128 ? r >> 8 & 0x3f : r >> 8 & 0x3fff;
        char key[16];
        int n = 0;
        for (uint32_t k = skewed + 1; k; k /= 19) key[n++] = (char)('a' + k % 19);
        key[n] = 0;
        map_get(&map, key)->count++;
        *slot_of(((uint64_t)(r >> 8 & 0x7fff) << 20 | 1) * 0x10001) += r & 15;
    }
    struct entry **list = malloc(map.len * sizeof *list);
    uint32_t n = 0, sum = 0;
    for (uint32_t i = 0; i <= map.mask; i++)
        for (struct entry *e = map.buckets[i]; e; e = e->next) list[n++] = e;
    qsort(list, n, sizeof *list, by_count);
    qsort(slots, SLOTS, sizeof *slots, by_key);
    for (uint32_t i = 0; i < n; i++) {
        sum = fold(fold(sum, list[i]->hash), list[i]->count);
        free(list[i]->key);
        free(list[i]);
    }
    for (uint32_t i = 1; i < SLOTS; i++) {
        if (slots[i - 1].key > slots[i].key) fail("order");
        sum = fold(sum, slots[i].value);
    }
    free(list);
    free(map.buckets);
    return sum;
}

int main(int argc, char **argv) {
    return bench_main(argc, argv, "hashsort", 50, 0x59a17c4eu, hashsort_round);
}
