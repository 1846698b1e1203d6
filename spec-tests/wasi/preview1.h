// wasi_snapshot_preview1 as it is, without a libc: pointers and lengths, so that every value of both can be
// passed. And the little that the guests here share: output and numbers.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) u32 name

IMPORT(args_get)(void *argv, void *buffer);
IMPORT(args_sizes_get)(void *count, void *size);
IMPORT(environ_get)(void *environ, void *buffer);
IMPORT(environ_sizes_get)(void *count, void *size);
IMPORT(clock_res_get)(u32 clock, void *resolution);
IMPORT(clock_time_get)(u32 clock, u64 precision, void *time);
IMPORT(fd_advise)(u32 fd, u64 offset, u64 len, u32 advice);
IMPORT(fd_allocate)(u32 fd, u64 offset, u64 len);
IMPORT(fd_close)(u32 fd);
IMPORT(fd_datasync)(u32 fd);
IMPORT(fd_fdstat_get)(u32 fd, void *stat);
IMPORT(fd_fdstat_set_flags)(u32 fd, u32 flags);
IMPORT(fd_fdstat_set_rights)(u32 fd, u64 base, u64 inheriting);
IMPORT(fd_filestat_get)(u32 fd, void *stat);
IMPORT(fd_filestat_set_size)(u32 fd, u64 size);
IMPORT(fd_filestat_set_times)(u32 fd, u64 atim, u64 mtim, u32 flags);
IMPORT(fd_pread)(u32 fd, const void *iovs, u32 count, u64 offset, void *read);
IMPORT(fd_prestat_get)(u32 fd, void *prestat);
IMPORT(fd_prestat_dir_name)(u32 fd, void *name, u32 len);
IMPORT(fd_pwrite)(u32 fd, const void *iovs, u32 count, u64 offset, void *written);
IMPORT(fd_read)(u32 fd, const void *iovs, u32 count, void *read);
IMPORT(fd_readdir)(u32 fd, void *buffer, u32 len, u64 cookie, void *used);
IMPORT(fd_renumber)(u32 from, u32 to);
IMPORT(fd_seek)(u32 fd, i64 offset, u32 whence, void *position);
IMPORT(fd_sync)(u32 fd);
IMPORT(fd_tell)(u32 fd, void *position);
IMPORT(fd_write)(u32 fd, const void *iovs, u32 count, void *written);
IMPORT(path_create_directory)(u32 fd, const void *path, u32 len);
IMPORT(path_filestat_get)(u32 fd, u32 flags, const void *path, u32 len, void *stat);
IMPORT(path_filestat_set_times)(u32 fd, u32 flags, const void *path, u32 len, u64 atim, u64 mtim, u32 times);
IMPORT(path_link)(u32 fd, u32 flags, const void *path, u32 len, u32 to, const void *name, u32 name_len);
IMPORT(path_open)(u32 fd, u32 flags, const void *path, u32 len, u32 oflags, u64 base, u64 inheriting,
                  u32 fdflags, void *opened);
IMPORT(path_readlink)(u32 fd, const void *path, u32 len, void *buffer, u32 buffer_len, void *used);
IMPORT(path_remove_directory)(u32 fd, const void *path, u32 len);
IMPORT(path_rename)(u32 fd, const void *path, u32 len, u32 to, const void *name, u32 name_len);
IMPORT(path_symlink)(const void *target, u32 target_len, u32 fd, const void *path, u32 len);
IMPORT(path_unlink_file)(u32 fd, const void *path, u32 len);
IMPORT(poll_oneoff)(const void *subscriptions, void *events, u32 count, void *seen);
IMPORT(proc_raise)(u32 signal);
IMPORT(random_get)(void *buffer, u32 len);
IMPORT(sched_yield)(void);
IMPORT(sock_accept)(u32 fd, u32 flags, void *accepted);
IMPORT(sock_recv)(u32 fd, const void *iovs, u32 count, u32 flags, void *received, void *out_flags);
IMPORT(sock_send)(u32 fd, const void *iovs, u32 count, u32 flags, void *sent);
IMPORT(sock_shutdown)(u32 fd, u32 how);
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit"), noreturn)) void
proc_exit(u32 code);

enum { FOLLOW = 1 };
enum { CREAT = 1, DIRECTORY = 2, EXCL = 4, TRUNC = 8 };
enum { APPEND = 1, DSYNC = 2, NONBLOCK = 4, RSYNC = 8, SYNC = 16 };
enum { ATIM = 1, ATIM_NOW = 2, MTIM = 4, MTIM_NOW = 8 };

#define RIGHT(n) (1ull << (n))
#define READ RIGHT(1)
#define WRITE RIGHT(6)
#define ALLOCATE RIGHT(8)
#define SET_SIZE RIGHT(22)
#define ALL_RIGHTS (RIGHT(30) - 1)

struct iovec {
  void *at;
  u32 len;
};

struct filestat {
  u64 dev, ino;
  u8 type, pad[7];
  u64 nlink, size, atim, mtim, ctim;
};

struct fdstat {
  u8 type, pad;
  u16 flags;
  u32 pad2;
  u64 base, inheriting;
};

struct subscription {
  u64 userdata;
  u8 tag, pad[7];
  u32 id, pad2;
  u64 timeout, precision;
  u16 flags, pad3[3];
};

struct event {
  u64 userdata;
  u16 error;
  u8 tag, pad[5];
  u64 nbytes;
  u16 flags, pad2[3];
};

// The compiler calls these.
void *memset(void *to, int byte, unsigned long len) {
  for (unsigned long i = 0; i < len; i++)
    ((volatile u8 *)to)[i] = byte;
  return to;
}

void *memcpy(void *to, const void *from, unsigned long len) {
  for (unsigned long i = 0; i < len; i++)
    ((volatile u8 *)to)[i] = ((const u8 *)from)[i];
  return to;
}

static u32 length(const char *text) {
  u32 len = 0;
  while (text[len])
    len++;
  return len;
}

static int same(const char *a, const char *b) {
  for (; *a && *a == *b; a++, b++) {
  }
  return *a == *b;
}

// Where `say` goes: standard output unless a guest has none.
static u32 out = 1;

static void say_bytes(const void *text, u32 len) {
  const char *at = text;
  while (len) {
    struct iovec iov = {(void *)at, len};
    u32 written;
    if (fd_write(out, &iov, 1, &written) || !written)
      proc_exit(99);
    at += written;
    len -= written;
  }
}

static void say(const char *text) { say_bytes(text, length(text)); }

static void say_number(u64 number) {
  char digits[20], *at = digits + sizeof digits;
  do
    *--at = '0' + number % 10;
  while (number /= 10);
  say_bytes(at, digits + sizeof digits - at);
}

static u64 number(const char *text) {
  u64 value = 0;
  for (; *text >= '0' && *text <= '9'; text++)
    value = value * 10 + (*text - '0');
  return value;
}

static const char *const ERRNO[] = {
    "SUCCESS", "2BIG", "ACCES", "ADDRINUSE", "ADDRNOTAVAIL", "AFNOSUPPORT", "AGAIN", "ALREADY", "BADF",
    "BADMSG", "BUSY", "CANCELED", "CHILD", "CONNABORTED", "CONNREFUSED", "CONNRESET", "DEADLK",
    "DESTADDRREQ", "DOM", "DQUOT", "EXIST", "FAULT", "FBIG", "HOSTUNREACH", "IDRM", "ILSEQ", "INPROGRESS",
    "INTR", "INVAL", "IO", "ISCONN", "ISDIR", "LOOP", "MFILE", "MLINK", "MSGSIZE", "MULTIHOP",
    "NAMETOOLONG", "NETDOWN", "NETRESET", "NETUNREACH", "NFILE", "NOBUFS", "NODEV", "NOENT", "NOEXEC",
    "NOLCK", "NOLINK", "NOMEM", "NOMSG", "NOPROTOOPT", "NOSPC", "NOSYS", "NOTCONN", "NOTDIR", "NOTEMPTY",
    "NOTRECOVERABLE", "NOTSOCK", "NOTSUP", "NOTTY", "NXIO", "OVERFLOW", "OWNERDEAD", "PERM", "PIPE",
    "PROTO", "PROTONOSUPPORT", "PROTOTYPE", "RANGE", "ROFS", "SPIPE", "SRCH", "STALE", "TIMEDOUT", "TXTBSY",
    "XDEV", "NOTCAPABLE"};

static void say_errno(u32 error) {
  if (error < sizeof ERRNO / sizeof *ERRNO)
    say(ERRNO[error]);
  else
    say_number(error);
}

static char *arguments[16];

// The argument with this number; "" if there is none.
static const char *argument(u32 index) {
  static char text[8192];
  static int asked;
  u32 count, size;
  if (!asked) {
    asked = 1;
    if (args_sizes_get(&count, &size) || count > 16 || size > sizeof text || args_get(arguments, text))
      proc_exit(98);
  }
  return index < 16 && arguments[index] ? arguments[index] : "";
}
