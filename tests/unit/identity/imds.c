/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/identity/imds.c - who owns the other end of a connection, and what the endpoint is not
 * started with */
#include "identity_test.h"

#include "identity/imds.h"

/* Lines as the kernel writes them; the first is the listener, the third another user's. */
static const char table[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n"
    "   0: 0100007F:2120 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1\n"
    "   1: 0100007F:9C40 0100007F:2120 01 00000000:00000000 00:00000000 00000000  1000        0 2\n"
    "   2: 0100007F:9C41 0100007F:2120 01 00000000:00000000 00:00000000 00000000  1001        0 3\n"
    "   3: 0200007F:9C42 0100007F:2120 01 00000000:00000000 00:00000000 00000000  1002        0 "
    "4\n";
static const char table6[] =
    "  sl  local_address                         remote_address                        st\n"
    "   0: 0000000000000000FFFF00000100007F:9C43 0000000000000000FFFF00000100007F:2120 01 "
    "00000000:00000000 00:00000000 00000000  1003        0 5 1 0000000000000000\n";

TEST(imds, the_kernel_says_whose_a_connection_is)
{
    unsigned user = 0;
    REQUIRE(imds_find_user(table, "127.0.0.1", 0x9C40, 0x2120, &user) && user == 1000);
    REQUIRE(imds_find_user(table, "127.0.0.1", 0x9C41, 0x2120, &user) && user == 1001);
    REQUIRE(imds_find_user(table6, "127.0.0.1", 0x9C43, 0x2120, &user) && user == 1003);
    user = 7;
    REQUIRE(!imds_find_user(table, "127.0.0.1", 0x9C42, 0x2120, &user)); /* another address */
    REQUIRE(!imds_find_user(table, "127.0.0.1", 0x9C40, 0x2121, &user)); /* to another port */
    REQUIRE(!imds_find_user(table, "unix", 0x9C40, 0x2120, &user));
    REQUIRE(!imds_find_user("", "127.0.0.1", 0x9C40, 0x2120, &user));
    REQUIRE(!imds_find_user("nonsense\n\n", "127.0.0.1", 0x9C40, 0x2120, &user));
    EXPECT_EQ(user, 7);
}

TEST(imds, what_others_could_reach_is_not_started)
{
    static struct world w;
    static const struct imds_config odd[] = {{"0.0.0.0:0", "1:a"},    {"192.0.2.1:0", "1:a"},
                                             {"[::]:0", "1:a"},       {"127.0.0.1:0", "nobody"},
                                             {"127.0.0.1:0", "x:a"},  {"127.0.0.1:0", "-1:a"},
                                             {"127.0.0.1:0", "1:a,,"}};
    world_open(&w, "imds");
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct imds *m = NULL;
        if (imds_start(&m, w.id, &odd[i], NULL) == OK)
            fail_msg("started: %s %s", odd[i].address, odd[i].allow);
    }
    struct imds *m = NULL;
    struct diag d = DIAG_INIT;
    const struct imds_config good = {"127.0.0.1:0", "1:a,2:b"};
    REQUIRE_OK(imds_start(&m, w.id, &good, &d));
    REQUIRE(imds_port(m) != 0);
    imds_stop(m);
    world_close(&w);
}
