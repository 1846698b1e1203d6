// memory.grow page by page with work in the fresh pages, and a vector that realloc keeps doubling:
// the cost of growing, of asking for the size, and of whatever an engine must reload afterwards.
#include "../bench.h"

#define PAGE 65536u
#define STEPS 2u
#define PASSES 12u

#ifdef __wasm__
static unsigned char *grow_page(void) {
    size_t before = __builtin_wasm_memory_size(0);
    size_t old = __builtin_wasm_memory_grow(0, 1);
    if (old == (size_t)-1) fail("memory.grow");
    if (old != before || __builtin_wasm_memory_size(0) != old + 1) fail("memory.size");
    return (unsigned char *)(old * PAGE);
}
static size_t size_now(void) { return __builtin_wasm_memory_size(0) > 0; }
#else
static unsigned char *grow_page(void) { return calloc(1, PAGE); }
static size_t size_now(void) { return 1; }
#endif

static uint32_t grow_round(void) {
    uint32_t sum = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t *page = (uint32_t *)grow_page();
        for (uint32_t i = 0; i < PAGE / 4; i++)
            if (page[i] != 0) fail("fresh page is not zero");
        for (uint32_t pass = 0; pass < PASSES; pass++)
            for (uint32_t i = 0; i < PAGE / 4; i++) page[i] += (i + pass) * 2654435761u + (uint32_t)size_now();
        for (uint32_t i = 0; i < PAGE / 4; i += 3) sum = sum * 31 + page[i];
    }
    uint32_t *vector = NULL;
    size_t room = 0;
    for (uint32_t len = 0; len < 40000; len++) {
        if (len == room) {
            room = room ? room * 2 : 4;
            vector = realloc(vector, room * sizeof *vector);
        }
        vector[len] = len ^ sum;
    }
    for (uint32_t i = 0; i < 40000; i += 7) sum = sum * 31 + vector[i];
    free(vector);
    return sum;
}

int main(int argc, char **argv) { return bench_main(argc, argv, "grow", 1000, 0x55ceffefu, grow_round); }
