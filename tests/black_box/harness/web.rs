//! A web server of the test's own, on this machine: pages for previews, push gateways.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

/// A request that came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method and path.
    pub line: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

type Handler = dyn Fn(&Asked) -> (u16, String, Vec<u8>) + Send + Sync;

/// The server; it ends with the process.
pub struct FakeWeb {
    address: String,
    asked: Mutex<Receiver<Asked>>,
}

impl FakeWeb {
    /// Answers each request with what `handler` says: status, content type, body.
    pub fn start(handler: impl Fn(&Asked) -> (u16, String, Vec<u8>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, asked) = mpsc::channel();
        let handler: Arc<Handler> = Arc::new(handler);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (handler, sender) = (handler.clone(), sender.clone());
                thread::spawn(move || serve(stream, &handler, &sender));
            }
        });
        Self { address, asked: Mutex::new(asked) }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request, or `None` when none comes within the time.
    pub fn next_within(&self, time: Duration) -> Option<Asked> {
        self.asked.lock().unwrap().recv_timeout(time).ok()
    }

    /// The next request; fails the test when none comes.
    #[track_caller]
    pub fn next(&self) -> Asked {
        self.next_within(Duration::from_secs(30)).expect("a request comes")
    }
}

/// Serves one request; the connection ends with it.
fn serve(mut stream: TcpStream, handler: &Arc<Handler>, sender: &Sender<Asked>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok()?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    let asked = Asked { line, body };
    let (status, content_type, body) = handler(&asked);
    // Nobody looks any more when the test is over.
    let _ = sender.send(asked);
    let location = if (300..400).contains(&status) {
        format!("Location: {}\r\n", String::from_utf8_lossy(&body))
    } else {
        String::new()
    };
    write!(
        stream,
        "HTTP/1.1 {status} Status\r\nContent-Type: {content_type}\r\n{location}Content-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    )
    .ok()?;
    stream.write_all(&body).ok()
}
