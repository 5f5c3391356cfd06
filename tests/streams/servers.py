"""Servers of moving pictures that can be killed, stalled and started again: MJPEG over HTTP, and RTSP (H.264 or MJPEG).

usage: servers.py http PORT FRAMES_FOLDER [LIMIT] | servers.py rtsp PORT
The HTTP server stalls while the file FRAMES_FOLDER/stall exists: the connection stands and nothing comes. With LIMIT it stalls for good after so many
pictures, and writes when it sent each into FRAMES_FOLDER/sent (CLOCK_MONOTONIC, seconds).
"""

import http.server
import pathlib
import socketserver
import sys
import time

RATE = 25


def serve_http(port, folder, limit):
    pictures = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    stall = folder / "stall"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.startswith("/missing"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            number, sent = 0, []
            try:
                while True:
                    while stall.exists() or (limit and number == limit):
                        time.sleep(0.02)
                    if limit:
                        sent.append(time.monotonic())
                        if number == limit - 1:
                            (folder / "sent").write_text("\n".join(map(str, sent)))
                    picture = pictures[number % len(pictures)]
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                    self.wfile.write(head.encode() + picture + b"\r\n")
                    self.wfile.flush()
                    number += 1
                    time.sleep(1 / RATE)
            except OSError:
                pass

        def log_message(self, *_):
            pass

    # Not HTTPServer: that asks the name service for its own name before it listens.
    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    Server(("127.0.0.1", port), Handler).serve_forever()


def serve_rtsp(port):
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        "( videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 ! jpegenc ! rtpjpegpay name=pay0 pt=26 )"
    )
    factory.set_shared(True)
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    GLib.MainLoop().run()


if sys.argv[1] == "http":
    serve_http(int(sys.argv[2]), pathlib.Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 0)
else:
    serve_rtsp(int(sys.argv[2]))
