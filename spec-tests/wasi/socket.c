// What can be done with a socket that the program was given.
//
// socket SECTION FD: prints what comes of it, a line each.
#include "preview1.h"

static u8 buffer[4096];
static u32 used;
static u16 flags;

static void line(const char *what, u32 error) {
  say(what);
  say(": ");
  say_errno(error);
  say("\n");
}

static u32 receive(u32 fd, u32 room, u32 how) {
  struct iovec iov[2] = {{buffer, room / 2}, {buffer + room / 2, room - room / 2}};
  used = 0;
  flags = 0xffff;
  return sock_recv(fd, iov, 2, how, &used, &flags);
}

static void received(const char *what, u32 error) {
  line(what, error);
  if (error)
    return;
  say("  \"");
  say_bytes(buffer, used);
  say(flags ? "\" truncated\n" : "\"\n");
}

static u32 transmit(u32 fd, const char *text, u32 how) {
  u32 half = length(text) / 2;
  struct iovec iov[2] = {{(void *)text, half}, {(void *)(text + half), length(text) - half}};
  used = 0;
  return sock_send(fd, iov, 2, how, &used);
}

// The other side sends "hello", and "abcdef" in two pieces when it has "ready"; then it reads to the end.
static void stream(u32 fd) {
  struct fdstat stat;
  line("fdstat", fd_fdstat_get(fd, &stat));
  say("  type ");
  say_number(stat.type);
  say("\n");
  received("peek", receive(fd, 3, 1));
  received("peek again", receive(fd, 100, 1));
  received("receive", receive(fd, 3, 0));
  received("the rest", receive(fd, 100, 0));
  line("send", transmit(fd, "ready", 0));
  received("wait for all", receive(fd, 6, 2));
  received("receive nothing", receive(fd, 0, 0));
  line("unknown way to receive", receive(fd, 1, 4));
  line("unknown way to send", transmit(fd, "x", 1));
  line("accept", sock_accept(fd, 0, &used));
  line("unknown way to shut down", sock_shutdown(fd, 4));
  line("no way to shut down", sock_shutdown(fd, 0));
  line("shut down sending", sock_shutdown(fd, 2));
  line("send", transmit(fd, "late", 0));
  received("the end", receive(fd, 100, 0));
  line("shut down receiving", sock_shutdown(fd, 1));
  struct iovec outside = {(void *)-4, 8};
  line("receive into nowhere", sock_recv(fd, &outside, 1, 0, &used, &flags));
  line("send from nowhere", sock_send(fd, &outside, 1, 0, &used));
  line("receive with flags to nowhere", sock_recv(fd, &outside, 0, 0, &used, (void *)-1));
  line("close", fd_close(fd));
  line("receive", receive(fd, 1, 0));
  line("send", transmit(fd, "x", 0));
  line("shut down", sock_shutdown(fd, 3));
  line("receive from a pipe", receive(1, 1, 0));
  line("send to a pipe", transmit(1, "x", 0));
  line("accept from a pipe", sock_accept(1, 0, &used));
  line("shut down a pipe", sock_shutdown(1, 3));
}

// The other side sends "datagram" and "second".
static void datagram(u32 fd) {
  struct fdstat stat;
  line("fdstat", fd_fdstat_get(fd, &stat));
  say("  type ");
  say_number(stat.type);
  say("\n");
  received("cut off", receive(fd, 4, 0));
  received("whole", receive(fd, 100, 0));
  line("send", transmit(fd, "answer", 0));
}

// Three connections, each of which sends a line and gets it back; the second one is accepted nonblocking.
static void listening(u32 fd) {
  line("receive", receive(fd, 1, 0));
  line("send", transmit(fd, "x", 0));
  line("accept in an unknown way", sock_accept(fd, 1, &used));
  line("accept to nowhere", sock_accept(fd, 0, (void *)-3));
  for (u32 i = 0; i < 3; i++) {
    u32 connection;
    line("accept", sock_accept(fd, i == 1 ? NONBLOCK : 0, &connection));
    struct fdstat stat;
    line("  fdstat", fd_fdstat_get(connection, &stat));
    say("  type ");
    say_number(stat.type);
    say(stat.flags & NONBLOCK ? ", nonblocking\n" : "\n");
    if (i == 1) {
      struct subscription wait = {.tag = 1, .id = connection};
      struct event event;
      line("  poll", poll_oneoff(&wait, &event, 1, &used));
    }
    u32 error = receive(connection, 100, 0);
    line("  receive", error);
    if (i == 1)
      line("  receive when there is nothing", receive(connection, 1, 0));
    struct iovec iov = {buffer, 5};
    line("  send", sock_send(connection, &iov, 1, 0, &used));
    line("  accept from it", sock_accept(connection, 0, &used));
    line("  close", fd_close(connection));
  }
  line("no more: nonblocking", fd_fdstat_set_flags(fd, NONBLOCK));
  line("accept", sock_accept(fd, 0, &used));
}

void _start(void) {
  u32 fd = number(argument(2));
  const char *section = argument(1);
  if (same(section, "stream"))
    stream(fd);
  else if (same(section, "datagram"))
    datagram(fd);
  else if (same(section, "listening"))
    listening(fd);
  else
    proc_exit(93);
  proc_exit(0);
}
