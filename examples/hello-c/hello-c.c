// Hello through printf: what a C toolchain's library brings along for one line of output.
#include <stdio.h>

int main(int argc, char **argv) {
    printf("Hello from %s, with %d argument%s\n", "C", argc - 1, argc == 2 ? "" : "s");
    for (int i = 1; i < argc; i++) printf("%2d: %s\n", i, argv[i]);
    return 0;
}
