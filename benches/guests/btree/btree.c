// An ordered map as a B-tree of string keys in fixed pages, the heart of a small database: inserts,
// lookups, range scans; binary search with memcmp, memmove inside pages, page splits.
#include "../bench.h"

#define KEY 20
#define FAN 32

struct page {
    uint32_t count, leaf;
    uint8_t keys[FAN][KEY];
    union {
        uint64_t values[FAN];
        struct page *children[FAN + 1];
    };
    struct page *next; // leaf to the right
};

static struct page *root;
static uint32_t pages;

static struct page *new_page(uint32_t leaf) {
    struct page *page = calloc(1, sizeof *page);
    page->leaf = leaf;
    pages++;
    return page;
}

// First index whose key is greater (`after`) or not less.
static uint32_t search(const struct page *page, const uint8_t *key, int after) {
    uint32_t lo = 0, hi = page->count;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        int order = memcmp(page->keys[mid], key, KEY);
        if (order < 0 || (after && order == 0)) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

static struct page *leaf_of(const uint8_t *key) {
    struct page *page = root;
    while (!page->leaf) page = page->children[search(page, key, 1)];
    return page;
}

// Inserts into `page`; a page that gets full is split, and the right half and its first key returned.
static struct page *insert(struct page *page, const uint8_t *key, uint64_t value, uint8_t *up) {
    uint32_t i = search(page, key, !page->leaf);
    if (page->leaf) {
        if (i < page->count && !memcmp(page->keys[i], key, KEY)) {
            page->values[i] += value;
            return NULL;
        }
        memmove(page->keys[i + 1], page->keys[i], (page->count - i) * KEY);
        memmove(&page->values[i + 1], &page->values[i], (page->count - i) * sizeof page->values[0]);
        memcpy(page->keys[i], key, KEY);
        page->values[i] = value;
    } else {
        uint8_t middle[KEY];
        struct page *right = insert(page->children[i], key, value, middle);
        if (!right) return NULL;
        memmove(page->keys[i + 1], page->keys[i], (page->count - i) * KEY);
        memmove(&page->children[i + 2], &page->children[i + 1], (page->count - i) * sizeof page->children[0]);
        memcpy(page->keys[i], middle, KEY);
        page->children[i + 1] = right;
    }
    if (++page->count < FAN) return NULL;
    struct page *right = new_page(page->leaf);
    uint32_t half = FAN / 2;
    memcpy(up, page->keys[half], KEY);
    if (page->leaf) {
        right->count = FAN - half;
        memcpy(right->keys, page->keys[half], right->count * KEY);
        memcpy(right->values, &page->values[half], right->count * sizeof right->values[0]);
        right->next = page->next;
        page->next = right;
    } else {
        right->count = FAN - half - 1;
        memcpy(right->keys, page->keys[half + 1], right->count * KEY);
        memcpy(right->children, &page->children[half + 1], (right->count + 1) * sizeof right->children[0]);
    }
    page->count = half;
    return right;
}

static void release(struct page *page) {
    if (!page->leaf)
        for (uint32_t i = 0; i <= page->count; i++) release(page->children[i]);
    free(page);
}

static void key_of(uint32_t n, uint8_t *key) {
    memset(key, '.', KEY);
    memcpy(key, "user/", 5);
    for (int i = 16; i > 7; i--, n /= 10) key[i] = (uint8_t)('0' + n % 10);
}

static uint32_t btree_round(void) {
    uint8_t key[KEY], up[KEY];
    pages = 0;
    root = new_page(1);
    rng_seed(1970);
    for (uint32_t i = 0; i < 30000; i++) {
        key_of(rng() % 40000, key);
        struct page *right = insert(root, key, i, up);
        if (right) {
            struct page *left = root;
            root = new_page(0);
            root->count = 1;
            memcpy(root->keys[0], up, KEY);
            root->children[0] = left;
            root->children[1] = right;
        }
    }
    uint32_t sum = pages, hits = 0;
    uint64_t total = 0;
    for (uint32_t i = 0; i < 50000; i++) {
        key_of(rng() % 40000, key);
        const struct page *page = leaf_of(key);
        uint32_t at = search(page, key, 0);
        if (at < page->count && !memcmp(page->keys[at], key, KEY)) {
            hits++;
            total += page->values[at];
        }
    }
    for (uint32_t i = 0; i < 200; i++) {
        key_of(rng() % 40000, key);
        const struct page *page = leaf_of(key);
        uint32_t at = search(page, key, 0);
        for (uint32_t n = 0; n < 300 && page; n++, at++) {
            while (page && at >= page->count) page = page->next, at = 0;
            if (page) total = total * 31 + page->values[at] + page->keys[at][16];
        }
    }
    release(root);
    return fold64(fold(sum, hits), total);
}

int main(int argc, char **argv) { return bench_main(argc, argv, "btree", 40, 0x9f63836bu, btree_round); }
