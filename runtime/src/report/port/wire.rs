//! What bytes go over: a serial line, a TCP connection, or UDP datagrams.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use serialport::{FlowControl, SerialPort};

use super::{Kind, PortSpec};

/// Reads and writes end after so long, so that whoever waits can look round.
const TIMEOUT: Duration = Duration::from_millis(100);
/// How long the other end of a TCP connection may take to accept it.
const CONNECT: Duration = Duration::from_secs(1);

/// An open one.
pub(in crate::report) enum Wire {
    Serial(Box<dyn SerialPort>),
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Wire {
    /// Opens what `spec` names; a serial line under the name `path`, which may be another than the spec's.
    pub(super) fn open(spec: &PortSpec, path: &str) -> Result<Wire> {
        match spec.kind {
            Kind::Serial => {
                let flow = if spec.rtscts { FlowControl::Hardware } else { FlowControl::None };
                Ok(Wire::Serial(serialport::new(path, spec.baud).flow_control(flow).timeout(TIMEOUT).open()?))
            }
            Kind::Tcp => {
                let mut failed = Error::new(ErrorKind::NotFound, "it has no address");
                for address in addresses(path)? {
                    match TcpStream::connect_timeout(&address, CONNECT) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            stream.set_read_timeout(Some(TIMEOUT))?;
                            stream.set_write_timeout(Some(TIMEOUT))?;
                            return Ok(Wire::Tcp(stream));
                        }
                        Err(error) => failed = error,
                    }
                }
                Err(failed)
            }
            Kind::Udp => {
                let address = addresses(path)?.next().ok_or_else(|| Error::new(ErrorKind::NotFound, "it has no address"))?;
                let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
                socket.connect(address)?;
                socket.set_read_timeout(Some(TIMEOUT))?;
                Ok(Wire::Udp(socket))
            }
        }
    }

    /// Another handle on the same.
    pub(in crate::report) fn try_clone(&self) -> Result<Wire> {
        Ok(match self {
            Wire::Serial(port) => Wire::Serial(port.try_clone()?),
            Wire::Tcp(stream) => Wire::Tcp(stream.try_clone()?),
            Wire::Udp(socket) => Wire::Udp(socket.try_clone()?),
        })
    }
}

/// Behind `tcp:` or `udp:` stands HOST:PORT.
fn addresses(path: &str) -> Result<impl Iterator<Item = SocketAddr>> {
    path.get(4..).unwrap_or_default().to_socket_addrs()
}

/// Nobody listens for datagrams at the other end just now: those sent meanwhile are lost, as on any such wire.
fn unheard(error: &Error) -> bool {
    error.kind() == ErrorKind::ConnectionRefused
}

impl Read for Wire {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        match self {
            Wire::Serial(port) => port.read(bytes),
            Wire::Tcp(stream) => stream.read(bytes),
            Wire::Udp(socket) => match socket.recv(bytes) {
                // An empty datagram is no end.
                Ok(0) => Err(ErrorKind::WouldBlock.into()),
                Err(error) if unheard(&error) => Err(ErrorKind::WouldBlock.into()),
                other => other,
            },
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Wire::Serial(port) => port.write(bytes),
            Wire::Tcp(stream) => stream.write(bytes),
            Wire::Udp(socket) => match socket.send(bytes) {
                Err(error) if unheard(&error) => Ok(bytes.len()),
                other => other,
            },
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Wire::Serial(port) => port.flush(),
            Wire::Tcp(stream) => stream.flush(),
            Wire::Udp(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn open(kind: &str, address: SocketAddr) -> Result<Wire> {
        let spec: PortSpec = format!("{kind}:{address}").parse().unwrap();
        Wire::open(&spec, &spec.path)
    }

    #[test]
    fn bytes_go_both_ways_over_tcp() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut wire = open("tcp", listener.local_addr().unwrap()).unwrap();
        let mut there = listener.accept().unwrap().0;
        wire.write_all(b"telegram").unwrap();
        let mut bytes = [0; 8];
        there.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"telegram");
        there.write_all(b"command!").unwrap();
        wire.try_clone().unwrap().read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"command!");
        drop(there);
        assert_eq!(wire.read(&mut bytes).unwrap(), 0, "the other end has left");
    }

    #[test]
    fn datagrams_are_lost_where_nobody_listens_and_arrive_where_somebody_does() {
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = there.local_addr().unwrap();
        drop(there);
        let mut wire = open("udp", address).unwrap();
        for _ in 0..5 {
            assert_eq!(wire.write(b"unheard").unwrap(), 7);
            assert!(matches!(wire.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        }
        let there = UdpSocket::bind(address).unwrap();
        wire.write_all(b"heard").unwrap();
        let mut bytes = [0; 16];
        let (length, from) = there.recv_from(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"heard");
        there.send_to(b"answer", from).unwrap();
        assert_eq!(wire.read(&mut bytes).unwrap(), 6);
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(open("tcp", gone).is_err());
    }
}
