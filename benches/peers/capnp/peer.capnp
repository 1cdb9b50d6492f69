@0x9b4c1e0c5d3a7f21;

struct Pair {
    key @0 :Text;
    value @1 :Text;
}

struct Message {
    id @0 :UInt64;
    name @1 :Text;
    tags @2 :List(Pair);
    bytes @3 :Data;
    nested @4 :Message;
}

interface Peer {
    echo @0 (message :Message) -> (message :Message);
    slow @1 (message :Message) -> (message :Message);
    blob @2 (bytes :Data) -> (bytes :Data);
}
