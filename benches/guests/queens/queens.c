// N queens twice: by bit masks, and by arrays of flags with the board kept.
#include "../bench.h"

static uint32_t by_masks(uint32_t all, uint32_t cols, uint32_t left, uint32_t right) {
    if (cols == all) return 1;
    uint32_t count = 0;
    for (uint32_t open = all & ~(cols | left | right); open; open &= open - 1) {
        uint32_t bit = open & -open;
        count += by_masks(all, cols | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return count;
}

static int board[16];
static uint8_t col_used[16], sum_used[32], diff_used[32];
static uint32_t weight;

static uint32_t by_flags(int n, int row) {
    if (row == n) {
        for (int i = 0; i < n; i++) weight += (uint32_t)(board[i] * i);
        return 1;
    }
    uint32_t count = 0;
    for (int col = 0; col < n; col++) {
        if (col_used[col] || sum_used[row + col] || diff_used[row - col + n]) continue;
        col_used[col] = sum_used[row + col] = diff_used[row - col + n] = 1;
        board[row] = col;
        count += by_flags(n, row + 1);
        col_used[col] = sum_used[row + col] = diff_used[row - col + n] = 0;
    }
    return count;
}

static uint32_t queens_round(void) {
    weight = 0;
    uint32_t masks = by_masks((1u << 11) - 1, 0, 0, 0), flags = by_flags(9, 0);
    if (masks != 2680 || flags != 352) fail("number of solutions");
    return fold(fold(masks, flags), weight);
}

int main(int argc, char **argv) { return bench_main(argc, argv, "queens", 300, 0xcd8c6b45u, queens_round); }
