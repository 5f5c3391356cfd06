//! Who may come in, and what for: from bytes to a request or a refusal.

/// Longest request head that is read: browsers send what every other service on this host has set, of which 8 KiB are usual, and proxies add theirs.
pub const HEAD: usize = 32 * 1024;
/// Most headers of one request.
const HEADERS: usize = 128;

/// What is asked of a client before anything is served.
pub struct RequestParser {
    /// Has to be in the address (`?token=`) or in `Authorization: Bearer`.
    pub token: Option<String>,
    /// Without a token only this machine's own names are taken as `Host`, so that no web site can point a name of its own here.
    pub loopback: bool,
}

/// A request that may be answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// Without the query.
    pub path: String,
    /// The query asks for tiles (`tiles`, by itself).
    pub tiles: bool,
    /// Only the head of the answer is wanted.
    pub head: bool,
    /// The client may ask again on this connection.
    pub keep: bool,
    /// Bytes of the input this request took.
    pub taken: usize,
}

/// What the bytes so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum ParseResult {
    /// More is to come.
    Partial,
    /// The connection ends.
    Refused(Refusal),
    /// Come in.
    Request(Request),
}

/// How a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status code and its words.
    pub status: &'static str,
    /// A person is there, and could be asked for the token.
    pub sign_in: bool,
}

impl RequestParser {
    /// Looks at what a client has sent.
    pub fn open(&self, input: &[u8]) -> ParseResult {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let taken = match request.parse(input) {
            Ok(httparse::Status::Complete(taken)) => taken,
            Ok(httparse::Status::Partial) if input.len() < HEAD => return ParseResult::Partial,
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return refused_with("431 Request Header Fields Too Large");
            }
            Err(httparse::Error::Version) => return refused_with("505 HTTP Version Not Supported"),
            Err(_) => return refused_with("400 Bad Request"),
        };
        let (method, target, version) = (request.method.unwrap_or(""), request.path.unwrap_or(""), request.version.unwrap_or(0));
        let header = |name: &str| {
            let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
        };
        if header("transfer-encoding").is_some() || header("content-length").is_some_and(|length| length != "0") {
            return refused_with("413 Content Too Large");
        }
        if !matches!(method, "GET" | "HEAD") {
            return refused_with("405 Method Not Allowed");
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match &self.token {
            // The page's script and style hold nothing of the camera, and the browser asks for them by their bare names.
            Some(_) if matches!(path, "/page.js" | "/page.css") => {}
            Some(token) => {
                let bearer = header("authorization").and_then(|given| given.strip_prefix("Bearer "));
                let asked = query.split('&').find_map(|pair| pair.strip_prefix("token="));
                if !bearer.or(asked).is_some_and(|given| same(given.as_bytes(), token.as_bytes())) {
                    // A browser sends no token unless a person gave it one.
                    return ParseResult::Refused(Refusal { status: "401 Unauthorized", sign_in: path == "/" && bearer.is_none() });
                }
            }
            None if self.loopback && !header("host").is_none_or(this_machine) => return refused_with("403 Forbidden"),
            None => {}
        }
        let close = header("connection").is_some_and(|given| given.eq_ignore_ascii_case("close"));
        let tiles = query.split('&').any(|pair| pair == "tiles");
        ParseResult::Request(Request { path: path.to_owned(), tiles, head: method == "HEAD", keep: version == 1 && !close, taken })
    }
}

fn refused_with(status: &'static str) -> ParseResult {
    ParseResult::Refused(Refusal { status, sign_in: false })
}

/// Compares in a time that does not tell how much was right.
fn same(given: &[u8], token: &[u8]) -> bool {
    given.len() == token.len() && given.iter().zip(token).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Whether a `Host` header names this machine.
fn this_machine(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(host, |(name, _)| name);
    let ip = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(parser: &RequestParser, text: &str) -> ParseResult {
        parser.open(text.as_bytes())
    }

    fn refused(parser: &RequestParser, text: &str) -> &'static str {
        match parse(parser, text) {
            ParseResult::Refused(refusal) => &refusal.status[..3],
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    const OPEN: RequestParser = RequestParser { token: None, loopback: true };

    #[test]
    fn a_plain_request_comes_in() {
        let text = "GET /live?seen=4 HTTP/1.1\r\nHost: 127.0.0.1:8088\r\n\r\n";
        let ParseResult::Request(request) = parse(&OPEN, text) else { panic!() };
        assert_eq!((request.path.as_str(), request.head, request.keep, request.taken), ("/live", false, true, text.len()));
        assert!(!request.tiles);
        let ParseResult::Request(request) = parse(&OPEN, "GET /live?seen=4&tiles HTTP/1.1\r\n\r\n") else { panic!() };
        assert!(request.tiles);
        let ParseResult::Request(request) = parse(&OPEN, "HEAD / HTTP/1.0\r\n\r\n") else { panic!() };
        assert!(request.head && !request.keep);
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(refused(&OPEN, "POST / HTTP/1.1\r\n\r\n"), "405");
        assert_eq!(refused(&OPEN, "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"), "413");
        assert_eq!(refused(&OPEN, "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), "413");
        assert_eq!(refused(&OPEN, "GET / HTTP/3.0\r\n\r\n"), "505");
        assert_eq!(refused(&OPEN, "\x16\x03\x01\x02"), "400");
        assert_eq!(refused(&OPEN, &format!("GET /{} HTTP/1.1", "a".repeat(HEAD))), "431");
        assert_eq!(refused(&OPEN, &format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS + 1))), "431");
        assert_eq!(parse(&OPEN, "GET / HTTP/1.1\r\nHost: local"), ParseResult::Partial);
    }

    #[test]
    fn a_long_head_comes_in() {
        let cookies = format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: a={}\r\n\r\n", "x".repeat(20_000));
        assert!(matches!(parse(&OPEN, &cookies), ParseResult::Request(_)));
        let proxied = format!("GET / HTTP/1.1\r\n{}Host: localhost\r\n\r\n", "X-Forwarded: proxy\r\n".repeat(100));
        assert!(matches!(parse(&OPEN, &proxied), ParseResult::Request(_)));
    }

    #[test]
    fn a_foreign_name_for_this_machine_is_refused() {
        assert_eq!(refused(&OPEN, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), "403");
        for host in ["localhost", "LOCALHOST:80", "[::1]:8088", "127.0.0.1"] {
            assert!(matches!(parse(&OPEN, &format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), ParseResult::Request(_)), "{host}");
        }
    }

    #[test]
    fn a_token_is_asked_for_in_either_place() {
        let parser = RequestParser { token: Some("0123456789abcdef".into()), loopback: false };
        assert_eq!(parse(&parser, "GET / HTTP/1.1\r\n\r\n"), ParseResult::Refused(Refusal { status: "401 Unauthorized", sign_in: true }));
        assert_eq!(
            parse(&parser, "GET /metrics HTTP/1.1\r\n\r\n"),
            ParseResult::Refused(Refusal { status: "401 Unauthorized", sign_in: false })
        );
        assert!(matches!(parse(&parser, "GET /page.js HTTP/1.1\r\n\r\n"), ParseResult::Request(_)));
        assert_eq!(refused(&parser, "GET /?token=0123456789abcdeX HTTP/1.1\r\n\r\n"), "401");
        assert!(matches!(parse(&parser, "GET /?a=b&token=0123456789abcdef HTTP/1.1\r\nHost: board\r\n\r\n"), ParseResult::Request(_)));
        assert!(matches!(parse(&parser, "GET / HTTP/1.1\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n"), ParseResult::Request(_)));
    }
}
