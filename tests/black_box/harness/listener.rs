//! A program that listens for HTTP, as bridges and push gateways do: it hands what it is sent to the test, and
//! answers what the test wants.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::{Value, json};

/// Longer than any pause of the server's that a test waits out.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The `Authorization` header.
    pub authorization: String,
    /// The body; null if it is not JSON.
    pub body: Value,
}

type Answers = Arc<Mutex<Box<dyn FnMut(&Received) -> (u16, Value) + Send>>>;

/// The program. Dropping it stops it.
pub struct Listener {
    address: String,
    answers: Answers,
    received: Receiver<Received>,
    stopped: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens on a free port and answers 200 `{}`.
    pub fn start() -> Self {
        Self::on(&TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// Listens again where another one has listened.
    pub fn start_at(url: &str) -> Self {
        Self::on(&TcpListener::bind(url.trim_start_matches("http://")).unwrap())
    }

    fn on(listener: &TcpListener) -> Self {
        let listener = listener.try_clone().unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answers: Answers = Arc::new(Mutex::new(Box::new(|_| (200, json!({})))));
        let (sender, received) = mpsc::channel();
        let stopped = Arc::new(AtomicBool::new(false));
        let (of_thread, stop) = (answers.clone(), stopped.clone());
        let connections: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let accepted = connections.clone();
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (answers, sender, stream) = (of_thread.clone(), sender.clone(), stream.unwrap());
                accepted.lock().unwrap().push(stream.try_clone().unwrap());
                thread::spawn(move || serve(&stream, &answers, &sender));
            }
        });
        Self { address, answers, received, stopped, connections, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers from now on as `answer` says: status and body.
    pub fn answer(&self, answer: impl FnMut(&Received) -> (u16, Value) + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answer);
    }

    /// The next request, which must come.
    #[track_caller]
    pub fn next(&self) -> Received {
        self.received.recv_timeout(REQUEST_TIMEOUT).expect("a request comes")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(&self.address);
        for connection in self.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves one connection until it is closed.
fn serve(stream: &TcpStream, answers: &Answers, sender: &Sender<Received>) {
    let mut reader = BufReader::new(stream);
    while let Some(received) = read_request(&mut reader) {
        let (status, body) = (answers.lock().unwrap())(&received);
        // The test may have ended.
        let _ = sender.send(received);
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} Answer\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = stream;
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Received> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => value.trim().clone_into(&mut authorization),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Received { method, path, authorization, body })
}
