// Summarises every .csv file of /in, in the order of their names, into /out/summary.txt, and says on
// standard output what it did. For each numeric column: count, least, mean and greatest value.
//
// What it may touch is what the build granted: two directories. Status 2 when /in can't be listed.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COLUMNS 16

struct column {
    char name[32];
    unsigned long count;
    double least, sum, greatest;
};

// Cuts the next field off a line, quotes removed; NULL at the end.
static char *next_field(char **rest) {
    char *from = *rest, *to = from, *field = from;
    if (!from) return NULL;
    int quoted = 0;
    for (; *from; from++) {
        if (*from == '"') {
            if (quoted && from[1] == '"') *to++ = *from++;
            else quoted = !quoted;
        } else if (*from == ',' && !quoted) break;
        else *to++ = *from;
    }
    *rest = *from ? from + 1 : NULL;
    *to = 0;
    return field;
}

static void summarise(const char *path, const char *name, FILE *out) {
    struct column columns[COLUMNS] = {0};
    char line[4096];
    unsigned long rows = 0;
    int width = 0;
    struct stat status;
    FILE *in = fopen(path, "r");
    if (!in || fstat(fileno(in), &status)) {
        printf("%s: %s\n", name, strerror(errno));
        return;
    }
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\r\n")] = 0;
        char *rest = line, *field;
        for (int i = 0; i < COLUMNS && (field = next_field(&rest)); i++) {
            struct column *column = &columns[i];
            if (!rows) {
                snprintf(column->name, sizeof column->name, "%s", field);
                width = i + 1;
                continue;
            }
            char *end;
            double value = strtod(field, &end);
            if (end == field || *end) continue;
            if (!column->count || value < column->least) column->least = value;
            if (!column->count || value > column->greatest) column->greatest = value;
            column->sum += value;
            column->count++;
        }
        rows++;
    }
    fclose(in);
    fprintf(out, "%s: %lld bytes, %lu rows\n", name, (long long)status.st_size, rows ? rows - 1 : 0);
    for (int i = 0; i < width; i++) {
        struct column *c = &columns[i];
        if (c->count)
            fprintf(out, "  %-12s %5lu  %10.3f %10.3f %10.3f\n", c->name, c->count, c->least,
                    c->sum / (double)c->count, c->greatest);
        else fprintf(out, "  %-12s text\n", c->name);
    }
    printf("%s: %lu rows\n", name, rows ? rows - 1 : 0);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int main(void) {
    char *names[256], path[512];
    size_t count = 0;
    DIR *dir = opendir("/in");
    if (!dir) {
        printf("/in: %s\n", strerror(errno));
        return 2;
    }
    for (struct dirent *entry; (entry = readdir(dir)) && count < 256;) {
        size_t len = strlen(entry->d_name);
        if (len > 4 && !strcmp(entry->d_name + len - 4, ".csv")) names[count++] = strdup(entry->d_name);
    }
    closedir(dir);
    qsort(names, count, sizeof *names, by_name);

    FILE *out = fopen("/out/summary.new", "w");
    if (!out) {
        printf("/out/summary.new: %s\n", strerror(errno));
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/in/%s", names[i]);
        summarise(path, names[i], out);
        free(names[i]);
    }
    if (fclose(out) || rename("/out/summary.new", "/out/summary.txt")) {
        printf("/out/summary.txt: %s\n", strerror(errno));
        return 1;
    }
    printf("%zu files summarised\n", count);
    return 0;
}
