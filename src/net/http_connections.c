/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_connections.c - the list of connections, and the choice of the one that has to go */
#include "net/http_connections.h"

#include "base/thread.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* An address as one holder of connections has it: of IPv6 the network, which is one customer's. */
struct http_peer {
    struct http_peer *prev, *next;
    uint8_t address[16];
    unsigned n; /* connections that count */
    unsigned n_listed;
};

void connections_init(struct http_connections *cs, unsigned max)
{
    *cs = (struct http_connections){.max = max};
    pthread_mutex_init(&cs->lock, NULL);
}

void connections_release(struct http_connections *cs)
{
    pthread_mutex_destroy(&cs->lock);
}

/* --- peers ------------------------------------------------------------------------------------ */

static void read_address(const struct sockaddr *from, uint8_t out[16])
{
    memset(out, 0, 16);
    if (from == NULL) return;
    if (from->sa_family == AF_INET) {
        memcpy(out, &((const struct sockaddr_in *)from)->sin_addr, 4);
        out[15] = 4;
    } else if (from->sa_family == AF_INET6) {
        memcpy(out, &((const struct sockaddr_in6 *)from)->sin6_addr, 8);
        out[15] = 6;
    }
}

static struct http_peer *peer_of(struct http_connections *cs, const struct sockaddr *from)
{
    uint8_t address[16];
    read_address(from, address);
    for (struct http_peer *p = cs->peers; p != NULL; p = p->next) {
        if (memcmp(p->address, address, sizeof address) == 0) return p;
    }
    struct http_peer *p = calloc(1, sizeof *p);
    if (p == NULL) return NULL;
    memcpy(p->address, address, sizeof address);
    p->next = cs->peers;
    if (p->next != NULL) p->next->prev = p;
    cs->peers = p;
    return p;
}

static void peer_leave(struct http_connections *cs, struct http_peer *p)
{
    if (--p->n_listed != 0) return;
    if (p->next != NULL) p->next->prev = p->prev;
    *(p->prev != NULL ? &p->prev->next : &cs->peers) = p->next;
    free(p);
}

/* --- the one that has to go ------------------------------------------------------------------- */

static bool goes_before(const struct http_connection *a, const struct http_connection *b)
{
    if (a->peer->n != b->peer->n) return a->peer->n > b->peer->n;
    if (a->state != b->state) return a->state < b->state;
    return a->since < b->since;
}

static void stop_counting(struct http_connections *cs, struct http_connection *c)
{
    if (c->state == CONNECTION_GOES) return;
    c->state = CONNECTION_GOES;
    c->peer->n--;
    cs->n--;
}

static bool make_room(struct http_connections *cs)
{
    struct http_connection *goes = NULL;
    for (struct http_connection *c = cs->first; c != NULL; c = c->next) {
        if (c->state >= CONNECTION_RUNS) continue;
        if (goes == NULL || goes_before(c, goes)) goes = c;
    }
    if (goes == NULL) return false;
    (void)shutdown(goes->fd, SHUT_RDWR); /* its thread wakes and closes it */
    stop_counting(cs, goes);
    return true;
}

/* --- coming and going ------------------------------------------------------------------------- */

struct http_connection *connections_enter(struct http_connections *cs, int fd,
                                          const struct sockaddr *from)
{
    LOCK_SCOPE(&cs->lock);
    struct http_connection *c = calloc(1, sizeof *c);
    struct http_peer *p = c != NULL ? peer_of(cs, from) : NULL;
    if (p == NULL) {
        free(c);
        return NULL;
    }
    bool room = cs->n < cs->max || make_room(cs);
    *c = (struct http_connection){
        .peer = p, .fd = fd, .since = ++cs->turn, .excess = !room, .next = cs->first};
    if (c->next != NULL) c->next->prev = c;
    cs->first = c;
    cs->n++;
    p->n++;
    p->n_listed++;
    return c;
}

void connections_leave(struct http_connections *cs, struct http_connection *c)
{
    if (c == NULL) return;
    LOCK_SCOPE(&cs->lock);
    stop_counting(cs, c);
    if (c->next != NULL) c->next->prev = c->prev;
    *(c->prev != NULL ? &c->prev->next : &cs->first) = c->next;
    peer_leave(cs, c->peer);
    free(c);
}

void connections_mark(struct http_connections *cs, struct http_connection *c,
                      enum connection_state s)
{
    if (c == NULL) return;
    LOCK_SCOPE(&cs->lock);
    if (c->state == CONNECTION_GOES) return;
    c->state = s;
    c->since = ++cs->turn;
}

bool connection_is_excess(const struct http_connection *c)
{
    return c == NULL || c->excess;
}
