//! A name that is none.

use switchboard::Command;

const CHECK_STOCK: Command<String, u32> = Command::new("CHECK STOCK");

fn main() {
    let _ = CHECK_STOCK;
}
