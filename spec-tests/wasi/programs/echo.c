// An HTTP/1.1 echo server: answers with the body of a request, or with its target if there is none.
//
// echo [FD]: the listening socket (default 3). Many connections at a time, kept alive; `/stop` ends it.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 256, ROOM = 256 * 1024 };

struct connection {
  int fd;
  char *in, *out;
  size_t in_len, out_len, out_done;
  int closing;
};

static struct connection connections[CONNECTIONS];
static struct pollfd polled[CONNECTIONS + 1];
static int count;
static long requests;
static int stopping;

static void drop(int index) {
  struct connection *c = &connections[index];
  close(c->fd);
  free(c->in);
  free(c->out);
  connections[index] = connections[--count];
}

static size_t value(const char *head, const char *end, const char *name) {
  size_t len = strlen(name);
  for (const char *line = head; line && line < end; line = memchr(line, '\n', end - line)) {
    line += *line == '\n';
    if (!strncasecmp(line, name, len))
      return strtoul(line + len, NULL, 10);
  }
  return 0;
}

static int contains(const char *from, const char *end, const char *text) {
  size_t len = strlen(text);
  for (; from + len <= end; from++)
    if (!strncasecmp(from, text, len))
      return 1;
  return 0;
}

static void put(struct connection *c, const char *bytes, size_t len) {
  memcpy(c->out + c->out_len, bytes, len);
  c->out_len += len;
}

// Answers the first request in the buffer, if all of it is there. -1: not a request.
static int answer(struct connection *c) {
  char *body = NULL;
  for (size_t i = 3; i < c->in_len; i++)
    if (!memcmp(c->in + i - 3, "\r\n\r\n", 4)) {
      body = c->in + i + 1;
      break;
    }
  if (!body)
    return c->in_len == ROOM ? -1 : 0;
  size_t len = value(c->in, body, "content-length:");
  size_t whole = body - c->in + len;
  if (whole > ROOM)
    return -1;
  if (c->in_len < whole || c->out_len + len + 256 > ROOM)
    return 0;
  char *target = memchr(c->in, ' ', body - c->in);
  char *end = target ? memchr(target + 1, ' ', body - target - 1) : NULL;
  if (!end)
    return -1;
  target++;
  int close_after = contains(c->in, body, "\r\nconnection: close\r\n");
  int stop = end - target == 5 && !memcmp(target, "/stop", 5);
  const char *text = len ? body : target;
  size_t text_len = len ? len : (size_t)(end - target);
  char head[128];
  int head_len = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n", text_len,
                          close_after || stop ? "Connection: close\r\n" : "");
  if (c->out_len + head_len + text_len > ROOM)
    return 0;
  put(c, head, head_len);
  put(c, text, text_len);
  memmove(c->in, c->in + whole, c->in_len - whole);
  c->in_len -= whole;
  c->closing = close_after || stop;
  stopping |= stop;
  requests++;
  return 1;
}

// 0: keep it.
static int serve(struct connection *c, int readable) {
  if (readable && c->in_len < ROOM) {
    ssize_t got = recv(c->fd, c->in + c->in_len, ROOM - c->in_len, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN))
      return -1;
    if (got > 0)
      c->in_len += got;
  }
  for (;;) {
    int answered = 0;
    while (!c->closing && (answered = answer(c)) > 0) {
    }
    if (answered < 0)
      return -1;
    while (c->out_done < c->out_len) {
      ssize_t sent = send(c->fd, c->out + c->out_done, c->out_len - c->out_done, 0);
      if (sent < 0)
        return errno == EAGAIN ? 0 : -1;
      c->out_done += sent;
    }
    int had = c->out_len > 0;
    c->out_done = c->out_len = 0;
    if (c->closing)
      return -1;
    // What did not fit before may fit now.
    if (!had)
      return 0;
  }
}

int main(int argc, char **argv) {
  int listening = argc > 1 ? atoi(argv[1]) : 3;
  if (fcntl(listening, F_SETFL, O_NONBLOCK)) {
    perror("listening socket");
    return 1;
  }
  while (!stopping || count) {
    for (int i = 0; i < count; i++) {
      struct connection *c = &connections[i];
      polled[i] = (struct pollfd){.fd = c->fd, .events = c->out_len ? POLLOUT : POLLIN};
    }
    polled[count] = (struct pollfd){.fd = listening, .events = POLLIN};
    int had = count;
    if (poll(polled, count + (!stopping && count < CONNECTIONS), -1) < 0) {
      perror("poll");
      return 1;
    }
    int accepting = polled[had].revents && !stopping;
    for (int i = had - 1; i >= 0; i--)
      if (polled[i].revents && serve(&connections[i], polled[i].revents & (POLLIN | POLLHUP)))
        drop(i);
    if (stopping) {
      // Connections that nobody uses do not keep it.
      for (int i = count - 1; i >= 0; i--)
        if (!connections[i].out_len)
          drop(i);
    }
    while (accepting && count < CONNECTIONS) {
      int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
      if (fd < 0) {
        if (errno == EAGAIN)
          break;
        perror("accept");
        return 1;
      }
      connections[count++] = (struct connection){.fd = fd, .in = malloc(ROOM), .out = malloc(ROOM)};
    }
  }
  printf("%ld requests\n", requests);
  return 0;
}
