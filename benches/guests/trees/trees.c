// Binary trees built, walked and freed one node at a time: malloc and recursion.
#include "../bench.h"

struct tree {
    struct tree *left, *right;
};

static struct tree *build(int depth) {
    struct tree *tree = malloc(sizeof *tree);
    if (depth > 0) {
        tree->left = build(depth - 1);
        tree->right = build(depth - 1);
    } else {
        tree->left = tree->right = NULL;
    }
    return tree;
}

static uint32_t count(const struct tree *tree) {
    return tree->left ? 1 + count(tree->left) + count(tree->right) : 1;
}

static void release(struct tree *tree) {
    if (tree->left) {
        release(tree->left);
        release(tree->right);
    }
    free(tree);
}

static uint32_t trees_round(void) {
    uint32_t sum = 0;
    struct tree *kept = build(14);
    for (int depth = 4; depth <= 14; depth += 2) {
        uint32_t nodes = 0;
        for (int i = 0; i < 1 << (14 - depth); i++) {
            struct tree *tree = build(depth);
            nodes += count(tree);
            release(tree);
        }
        sum = fold(sum, nodes);
    }
    sum = fold(sum, count(kept));
    release(kept);
    return sum;
}

int main(int argc, char **argv) { return bench_main(argc, argv, "trees", 160, 0x7f71de83u, trees_round); }
