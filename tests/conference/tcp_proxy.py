# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""A TCP proxy on loopback that can freeze: connections stay up, TCP acknowledges, and nothing is passed on. Standard library
only."""

import contextlib
import selectors
import socket
import threading


class TcpProxy:
    def __init__(self, server_port):
        self.server_port = server_port
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.running = threading.Event()
        self.running.set()
        self.ended = False
        self.peers = {}
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def freeze(self):
        self.running.clear()

    def thaw(self):
        self.running.set()

    def stop(self):
        self.ended = True
        self.thaw()
        self.thread.join()
        for end in [self.listener, *self.peers]:
            end.close()

    def _run(self):
        while not self.ended:
            for key, _ in self.selector.select(0.02):
                self.running.wait()
                if key.fileobj is self.listener:
                    self._accept()
                else:
                    self._pass_on(key.fileobj)

    def _accept(self):
        with contextlib.suppress(OSError):
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.server_port))
            for one, other in ((client, server), (server, client)):
                one.setblocking(True)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.peers[one] = other
                self.selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, end):
        if end not in self.peers:  # closed with its peer just now
            return
        try:
            text = end.recv(65536)
            if text:
                self.peers[end].sendall(text)
                return
        except OSError:
            pass
        for one in (end, self.peers[end]):
            self.selector.unregister(one)
            del self.peers[one]
            one.close()
