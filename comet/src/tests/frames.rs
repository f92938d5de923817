//! What comes over the socket, without a `CometBFT`: frames whole, cut, too long and false; what is answered to whom.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;
use tempfile::TempDir;
use tendermint_proto::v0_38::abci::request::Value;
use tendermint_proto::v0_38::abci::{
    Request, RequestCheckTx, RequestEcho, RequestFinalizeBlock, RequestFlush, RequestInfo, RequestQuery, Response,
    response,
};

use super::application::Tiny;
use super::network::wait;
use crate::abci::{AbciServer, ConnectionKind, FrameError, FrameLimits, serve};
use crate::{AbciAddress, AbciFault, FaultKind};

struct Served {
    app: Tiny,
    server: AbciServer,
    path: PathBuf,
    _folder: TempDir,
}

fn served(limits: FrameLimits) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("abci.sock");
    let app = Tiny::default();
    let server = serve(app.clone(), &AbciAddress::Unix(path.clone()), limits).unwrap();
    Served { app, server, path, _folder: folder }
}

impl Served {
    fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.path).unwrap()
    }

    /// The fault with this number.
    fn fault(&self, number: u64) -> AbciFault {
        let faults = self.server.faults();
        wait("a fault", || faults.borrow().as_ref().is_some_and(|fault| fault.number >= number));
        faults.borrow().clone().unwrap()
    }
}

fn frame(value: Value) -> Vec<u8> {
    Request { value: Some(value) }.encode_length_delimited_to_vec()
}

fn check_tx(bytes: usize) -> Vec<u8> {
    frame(Value::CheckTx(RequestCheckTx { tx: Bytes::from(vec![7; bytes]), ..RequestCheckTx::default() }))
}

fn read_answer(from: &mut impl std::io::Read) -> Response {
    let mut length = Vec::new();
    loop {
        let mut byte = [0];
        from.read_exact(&mut byte).unwrap();
        length.push(byte[0]);
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut bytes = vec![0; prost::decode_length_delimiter(length.as_slice()).unwrap()];
    from.read_exact(&mut bytes).unwrap();
    Response::decode(bytes.as_slice()).unwrap()
}

fn ended(stream: &mut UnixStream) -> bool {
    let mut rest = Vec::new();
    // A connection that was reset has ended too.
    stream.read_to_end(&mut rest).is_err() || rest.is_empty()
}

#[test]
fn answers_in_order_whatever_way_the_bytes_are_cut() {
    let served = served(FrameLimits::default());
    let mut stream = served.connect();
    let mut bytes = frame(Value::Echo(RequestEcho { message: "first".to_owned() }));
    bytes.extend(check_tx(70_000));
    bytes.extend(frame(Value::Flush(RequestFlush {})));
    let mut writing = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for part in bytes.chunks(777) {
            writing.write_all(part).unwrap();
        }
    });
    assert!(matches!(read_answer(&mut stream).value, Some(response::Value::Echo(echo)) if echo.message == "first"));
    assert!(matches!(read_answer(&mut stream).value, Some(response::Value::CheckTx(_))));
    assert!(matches!(read_answer(&mut stream).value, Some(response::Value::Flush(_))));
    writer.join().unwrap();
}

#[test]
fn reads_on_while_nobody_takes_the_answers() {
    let served = served(FrameLimits::default());
    let mut stream = served.connect();
    // As many questions as after a block, with answers of more bytes than fit a socket's buffer, which are not read before
    // all of them are sent.
    let query = frame(Value::Query(RequestQuery { data: Bytes::from(vec![1; 10_000]), ..RequestQuery::default() }));
    for _ in 0..2_000 {
        stream.write_all(&query).unwrap();
    }
    for _ in 0..2_000 {
        assert!(matches!(read_answer(&mut stream).value, Some(response::Value::Query(_))));
    }
}

#[test]
fn speaks_tcp_as_well() {
    let any = AbciAddress::Tcp("127.0.0.1:0".parse().unwrap());
    let server = serve(Tiny::default(), &any, FrameLimits::default()).unwrap();
    let AbciAddress::Tcp(address) = server.address() else { panic!("{}", server.address()) };
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&frame(Value::Info(RequestInfo::default()))).unwrap();
    assert!(matches!(read_answer(&mut stream).value, Some(response::Value::Info(_))));
    server.stop();
    let mut rest = Vec::new();
    assert!(stream.read_to_end(&mut rest).is_err() || rest.is_empty());
}

#[test]
fn closes_a_connection_whose_frame_is_over_the_limit_and_says_so() {
    let served = served(FrameLimits { request_bytes: 1_000, ..FrameLimits::default() });
    let mut stream = served.connect();
    stream.write_all(&check_tx(500)).unwrap();
    assert!(matches!(read_answer(&mut stream).value, Some(response::Value::CheckTx(_))));
    stream.write_all(&check_tx(1_000)).unwrap();
    assert!(ended(&mut stream));
    let fault = served.fault(1);
    assert_eq!(fault.connection, ConnectionKind::Mempool);
    assert!(matches!(fault.what, FaultKind::Frame(FrameError::TooLong { limit: 1_000, .. })), "{fault}");
}

#[test]
fn closes_a_connection_that_ends_within_a_frame_and_says_so() {
    let served = served(FrameLimits::default());
    let mut stream = served.connect();
    stream.write_all(&check_tx(500)[..100]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(ended(&mut stream));
    assert_eq!(served.fault(1).what, FaultKind::Frame(FrameError::Cut { bytes: 100 }));
}

#[test]
fn a_connection_that_ends_between_frames_is_no_fault() {
    let served = served(FrameLimits::default());
    let mut stream = served.connect();
    stream.write_all(&check_tx(5)).unwrap();
    assert!(matches!(read_answer(&mut stream).value, Some(response::Value::CheckTx(_))));
    drop(stream);
    wait("the connection's end", || served.server.connections() == 0);
    assert_eq!(*served.server.faults().borrow(), None);
}

#[test]
fn a_call_on_another_kind_of_connection_is_a_fault() {
    let served = served(FrameLimits::default());
    let mut stream = served.connect();
    stream.write_all(&check_tx(5)).unwrap();
    stream.write_all(&frame(Value::Info(RequestInfo::default()))).unwrap();
    let fault = served.fault(1);
    assert_eq!(fault.what, FaultKind::WrongConnection { expected: ConnectionKind::Query });
    assert!(!fault.what.is_applications() && fault.is_breaking());
}

#[test]
fn the_first_fault_that_breaks_the_application_stays_whatever_comes_after_it() {
    let served = served(FrameLimits::default());
    let say = |bytes: &[u8]| {
        let mut stream = served.connect();
        stream.write_all(bytes).unwrap();
        // The other side may have hung up.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    };
    let garbage = vec![3, 0xff, 0xff, 0xff];
    let cut = [check_tx(5).as_slice(), &check_tx(5)[..3]].concat();
    // A stranger, and a process that ended while it wrote: nothing is wrong with the application.
    say(&garbage);
    assert!(!served.fault(1).is_breaking());
    say(&cut);
    let fault = served.fault(2);
    assert_eq!((fault.connection, fault.is_breaking()), (ConnectionKind::Mempool, false));
    assert_eq!(*served.server.broken().borrow(), None);
    // On a connection that is in use.
    say(&[check_tx(5), garbage].concat());
    let fault = served.fault(3);
    assert!(fault.is_breaking(), "{fault}");
    say(&cut);
    assert!(!served.fault(4).is_breaking());
    assert_eq!(served.server.broken().borrow().as_ref(), Some(&fault));
}

#[test]
fn an_empty_request_is_a_fault() {
    let served = served(FrameLimits::default());
    served.connect().write_all(&[0]).unwrap();
    assert_eq!(served.fault(1).what, FaultKind::Empty);
}

#[test]
fn a_panic_of_the_application_closes_the_connection_without_an_answer() {
    let served = served(FrameLimits::default());
    served.app.panics.store(true, Ordering::SeqCst);
    let mut stream = served.connect();
    stream.write_all(&frame(Value::FinalizeBlock(RequestFinalizeBlock { height: 1, ..Default::default() }))).unwrap();
    assert!(ended(&mut stream));
    let fault = served.fault(1);
    assert_eq!(fault.connection, ConnectionKind::Consensus);
    assert!(matches!(&fault.what, FaultKind::Panic { call: "FinalizeBlock", text } if text.contains("wants a panic")));
    assert!(fault.what.is_applications() && fault.is_breaking());
    assert_eq!(served.server.broken().borrow().as_ref(), Some(&fault));
    // The other connections go on, and calls that change the state are not locked out.
    let mut again = served.connect();
    again.write_all(&frame(Value::FinalizeBlock(RequestFinalizeBlock { height: 1, ..Default::default() }))).unwrap();
    assert!(matches!(read_answer(&mut again).value, Some(response::Value::FinalizeBlock(_))));
}

#[test]
fn an_application_that_refuses_to_answer_gives_its_reason() {
    let served = served(FrameLimits::default());
    let mut stream = served.connect();
    let query = RequestQuery { path: "refuse".to_owned(), ..RequestQuery::default() };
    stream.write_all(&frame(Value::Query(query))).unwrap();
    assert!(ended(&mut stream));
    let text = "the disk is gone".to_owned();
    assert_eq!(served.fault(1).what, FaultKind::Refused { call: "Query", text });
}

#[test]
fn takes_over_the_socket_that_a_dead_process_left_and_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("abci.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let address = AbciAddress::Unix(path.clone());
    let server = serve(Tiny::default(), &address, FrameLimits::default()).unwrap();
    assert!(UnixStream::connect(&path).is_ok());
    server.stop();
    assert!(!path.exists(), "a server that stops removes its socket");
    std::fs::write(&path, "not a socket").unwrap();
    assert!(serve(Tiny::default(), &address, FrameLimits::default()).is_err());
}

#[test]
fn all_that_a_mempool_may_hold_waits_without_a_pause() {
    let settings = crate::CometSettings { mempool_bytes: 1_000_000_000, ..crate::CometSettings::default() };
    let limits = FrameLimits::of(0, &settings);
    assert!(limits.waiting_bytes > 2_000_000_000, "{limits:?}");
    let usual = FrameLimits::of(0, &crate::CometSettings::default());
    assert!(usual.waiting_bytes >= FrameLimits::default().waiting_bytes, "{usual:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_ends_in_a_fault_or_in_answers_and_nothing_else(bytes in prop::collection::vec(any::<u8>(), 1..300)) {
        let served = served(FrameLimits { request_bytes: 4_096, ..FrameLimits::default() });
        let mut stream = served.connect();
        stream.write_all(&bytes).unwrap();
        // The reader may have hung up before.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers);
        wait("the connection's end", || served.server.connections() == 0);
    }
}
