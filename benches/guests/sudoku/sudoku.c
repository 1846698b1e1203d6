// Sudoku by backtracking on bit masks, always at the cell with the fewest candidates.
#include "../bench.h"

#define LIMIT 600

static uint16_t rows[9], cols[9], boxes[9];
static uint8_t grid[81];
static uint32_t guesses;

static int box_of(int cell) { return cell / 27 * 3 + cell % 9 / 3; }

static void put(int cell, int digit) {
    uint16_t bit = (uint16_t)(1u << digit);
    grid[cell] = (uint8_t)(digit + 1);
    rows[cell / 9] |= bit, cols[cell % 9] |= bit, boxes[box_of(cell)] |= bit;
}

static void take(int cell) {
    uint16_t mask = (uint16_t)~(1u << (grid[cell] - 1));
    grid[cell] = 0;
    rows[cell / 9] &= mask, cols[cell % 9] &= mask, boxes[box_of(cell)] &= mask;
}

// Counts solutions, up to LIMIT in all below a cell; each goes into `sum`.
static int solve(uint32_t *sum) {
    int best = -1, fewest = 10;
    uint16_t choices = 0;
    for (int cell = 0; cell < 81; cell++) {
        if (grid[cell]) continue;
        uint16_t open = (uint16_t)(~(rows[cell / 9] | cols[cell % 9] | boxes[box_of(cell)]) & 0x1ff);
        int n = __builtin_popcount(open);
        if (n < fewest) {
            best = cell, fewest = n, choices = open;
            if (n <= 1) break;
        }
    }
    if (best < 0) {
        *sum = fold_bytes(*sum, grid, 81);
        return 1;
    }
    int found = 0;
    while (choices && found < LIMIT) {
        int digit = __builtin_ctz(choices);
        choices &= (uint16_t)(choices - 1);
        guesses++;
        put(best, digit);
        found += solve(sum);
        take(best);
    }
    return found;
}

static uint32_t sudoku_round(void) {
    // A shifted Latin pattern with digits permuted and cells removed: some have many solutions.
    uint32_t sum = 0;
    rng_seed(81);
    guesses = 0;
    for (int puzzle = 0; puzzle < 60; puzzle++) {
        uint8_t names[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
        for (int i = 8; i > 0; i--) {
            int k = (int)(rng() % (unsigned)(i + 1));
            uint8_t t = names[i];
            names[i] = names[k], names[k] = t;
        }
        memset(rows, 0, sizeof rows), memset(cols, 0, sizeof cols), memset(boxes, 0, sizeof boxes);
        memset(grid, 0, sizeof grid);
        for (int cell = 0; cell < 81; cell++) {
            int row = cell / 9, col = cell % 9;
            if (rng() % 100 < 30) put(cell, names[(row * 3 + row / 3 + col) % 9]);
        }
        uint32_t found = (uint32_t)solve(&sum);
        sum = fold(sum, found);
    }
    return fold(sum, guesses);
}

int main(int argc, char **argv) { return bench_main(argc, argv, "sudoku", 5, 0xb44bc00cu, sudoku_round); }
