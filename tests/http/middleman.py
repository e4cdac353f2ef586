# SPDX-License-Identifier: Apache-2.0
"""tests/http/middleman.py - a man in the middle between keyd and the vaults, who misbehaves on demand, for some names or all.

The vaults listen on 127.0.0.2, this one on 127.0.0.1 at the same port, where names under .localhost lead. It reads no TLS: the
name is in the clear at the start of a connection. Modes:

    pass     forwards
    hang     takes the connection and says nothing
    reset    ends it with RST
    garbage  answers in plain text: the TLS handshake fails
    slow     forwards, each answer a while later
    refuse   nobody listens (for all names: the refusal comes before the name)
"""
import re
import socket
import struct
import threading


class Middleman:
    def __init__(self, port, slow_s=0.7):
        self.port, self.slow_s = port, slow_s
        self.modes, self.lock, self.live = {}, threading.Lock(), {}
        self.listener = None
        self.listen()

    def listen(self):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", self.port))
        s.listen(128)
        self.listener = s
        threading.Thread(target=self.accept, args=(s,), daemon=True).start()

    def accept(self, s):
        while True:
            try:
                c, _ = s.accept()
            except OSError:
                s.close()
                return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def mode(self, mode, name=None):
        """From now on, and for connections that are open. name: "kv1"; None = every vault."""
        with self.lock:
            self.modes = {} if name is None else self.modes
            self.modes[name] = mode
            ended = [p for p, n in self.live.items() if name in (None, n)]
        if mode == "refuse" and self.listener is not None:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the one in accept(), who closes it
            self.listener = None
        if mode != "refuse" and self.listener is None:
            self.listen()
        for pair in ended:
            for s in pair:
                self.end(s)

    @staticmethod
    def end(s, hard=False):
        try:
            if hard:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was faster
        s.close()

    def serve(self, c):
        try:
            first = c.recv(65536)
        except OSError:
            self.end(c)
            return
        found = re.search(rb"([a-z0-9-]+)\.vault\.localhost", first)
        name = found.group(1).decode() if found else None
        with self.lock:
            mode = self.modes.get(name, self.modes.get(None, "pass"))
        if mode in ("reset", "refuse"):
            self.end(c, hard=True)
        elif mode == "garbage":
            try:
                c.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            except OSError:
                pass
            self.end(c)
        elif mode == "hang":
            with self.lock:
                self.live[(c,)] = name
        else:
            self.forward(c, name, first, self.slow_s if mode == "slow" else 0)

    def forward(self, c, name, first, delay_s):
        try:
            up = socket.create_connection(("127.0.0.2", self.port))
            up.sendall(first)
        except OSError:
            self.end(c, hard=True)
            return
        with self.lock:
            self.live[(c, up)] = name
        threading.Thread(target=self.pump, args=(c, up, 0), daemon=True).start()
        self.pump(up, c, delay_s)
        with self.lock:
            self.live.pop((c, up), None)

    def pump(self, a, b, delay_s):
        wait = threading.Event()
        try:
            while data := a.recv(65536):
                if delay_s:
                    wait.wait(delay_s)  # the answer is late: what this one is here for
                b.sendall(data)
        except OSError:
            pass
        self.end(a)
        self.end(b)

    def close(self):
        self.mode("refuse")
