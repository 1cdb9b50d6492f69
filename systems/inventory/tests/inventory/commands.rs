//! The commands of the inventory, in this process, over a file.

use std::sync::Arc;

use switchboard::{Client, Code, Error};
use switchboard_inventory::{
    CHECK_STOCK, Inventory, RESERVE, Refused, Reservation, Reserved, Settings,
};

use crate::support::Folder;

fn open(folder: &Folder) -> (Arc<Inventory>, Client) {
    let settings = Settings::default();
    let inventory = Inventory::open(folder.database(), &settings).unwrap();
    let client = inventory.endpoint(&settings).client();
    (inventory, client)
}

async fn reserve(client: &Client, what: (&str, &str, u64)) -> Result<Reserved, Error> {
    client.call(RESERVE, &Reservation::new(what.0, what.1, what.2)).await
}

#[tokio::test]
async fn a_reservation_lowers_the_stock_once() {
    let folder = Folder::new("reserve");
    let (inventory, client) = open(&folder);
    let stock = |item: &str| client.call(CHECK_STOCK, &item.to_owned());
    assert_eq!((stock("item1").await.unwrap(), stock("item2").await.unwrap()), (100, 50));

    let first = reserve(&client, ("o1", "item1", 3)).await.unwrap();
    assert_eq!((first.left, stock("item1").await.unwrap()), (97, 97));
    reserve(&client, ("o2", "item1", 90)).await.unwrap();
    assert_eq!(reserve(&client, ("o1", "item1", 3)).await.unwrap(), first);
    assert_eq!((stock("item1").await.unwrap(), stock("item2").await.unwrap()), (7, 50));

    // After a restart as well; the stock of the first day does not come again.
    drop((inventory, client));
    let (_inventory, client) = open(&folder);
    assert_eq!(reserve(&client, ("o1", "item1", 3)).await.unwrap(), first);
    assert_eq!(client.call(CHECK_STOCK, &"item1".to_owned()).await.unwrap(), 7);
}

#[tokio::test]
async fn what_is_refused_says_why_and_changes_nothing() {
    let folder = Folder::new("refused");
    let (_inventory, client) = open(&folder);
    let long = "x".repeat(65);
    reserve(&client, ("o1", "item1", 3)).await.unwrap();
    for (what, expected) in [
        (("o2", "item1", 98), "conflict: 98 of item1 were asked for, and 97 are left"),
        (("o1", "item1", 4), "conflict: the order o1 is there already, with 3 of item1"),
        (("o1", "item2", 3), "conflict: the order o1 is there already, with 3 of item1"),
        (("o2", "item3", 1), r#"not_found: there is no item "item3""#),
        (("o2", "item1", 0), "invalid: an order has 1 to 1000000 pieces, not 0"),
        (("o2", "item1", 1 << 63), "not 9223372036854775808"),
        ((" ", "item1", 1), "invalid: the id of an order is blank"),
        ((&long, "item1", 1), "invalid: the id of an order has at most 64 bytes, not 65"),
        (("o2", &long, 1), "invalid: the name of an item has at most 64 bytes, not 65"),
    ] {
        let error = reserve(&client, what).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{what:?}: {error}");
    }
    let error = client.call(CHECK_STOCK, &long).await.unwrap_err();
    assert_eq!(error.code(), Code::Invalid);
    for wrong in ["-1", "1.5", "18446744073709551616", "\"1\"", "null"] {
        let request = format!(r#"{{"order":"o2","item":"item1","count":{wrong}}}"#);
        let request = serde_json::from_str(&request).unwrap();
        let error = client.call_json("RESERVE", &request).await.unwrap_err();
        assert_eq!(error.code(), Code::BadPayload, "{wrong}: {error}");
    }
    let kept = folder.kept();
    assert_eq!((kept.stock[0].1, kept.reservations.len()), (97, 1));
}

#[tokio::test]
async fn the_details_of_a_refusal_can_be_told_apart() {
    let folder = Folder::new("details");
    let (_inventory, client) = open(&folder);
    reserve(&client, ("o1", "item2", 20)).await.unwrap();
    let details = async |what| {
        let error = reserve(&client, what).await.unwrap_err();
        error.details::<Refused>().unwrap().unwrap()
    };
    let too_little = details(("o2", "item2", 31)).await;
    let Refused::TooLittle { item, wanted, left } = too_little else { panic!("{too_little:?}") };
    assert_eq!((item.as_str(), wanted, left), ("item2", 31, 30));
    let other = details(("o1", "item1", 1)).await;
    let Refused::OtherContent { order, item, count } = other else { panic!("{other:?}") };
    assert_eq!((order.as_str(), item.as_str(), count), ("o1", "item2", 20));
}

/// A hundred orders, while others ask all the time and so keep loaders under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_old_stock_is_told_after_a_reservation() {
    let folder = Folder::new("fresh");
    let (inventory, client) = open(&folder);
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                loop {
                    client.call(CHECK_STOCK, &"item1".to_owned()).await.unwrap();
                }
            })
        })
        .collect();
    for number in 0..100_u64 {
        let left = reserve(&client, (&format!("o{number}"), "item1", 1)).await.unwrap().left;
        assert_eq!(left, 99 - number);
        for _ in 0..3 {
            assert_eq!(client.call(CHECK_STOCK, &"item1".to_owned()).await.unwrap(), left);
        }
    }
    asking.into_iter().for_each(|asking| asking.abort());
    let counted = inventory.cache().counted();
    assert!(counted.loads < counted.requests, "{counted:?}");
    println!("{counted:?}");
}

#[tokio::test]
async fn what_changes_nothing_leaves_the_cache_alone() {
    let folder = Folder::new("alone");
    let (inventory, client) = open(&folder);
    let loads = async || {
        client.call(CHECK_STOCK, &"item1".to_owned()).await.unwrap();
        inventory.cache().counted().loads
    };
    assert_eq!(loads().await, 1);
    for what in [("o1", "item1", 101), ("o1", "item1", 0), ("o1", "item3", 1)] {
        reserve(&client, what).await.unwrap_err();
        assert_eq!(loads().await, 1, "{what:?}");
    }
    reserve(&client, ("o1", "item1", 1)).await.unwrap();
    assert_eq!(loads().await, 2);
}

#[tokio::test]
async fn a_name_is_registered_once() {
    let folder = Folder::new("twice");
    let (inventory, _client) = open(&folder);
    let endpoint = inventory.endpoint(&Settings::default());
    let error = endpoint.add(CHECK_STOCK, async |_: String| Ok::<_, Error>(7)).unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("CHECK_STOCK"), "{error}");
    let stock = endpoint.client().call(CHECK_STOCK, &"item1".to_owned()).await;
    assert_eq!(stock.unwrap(), 100);
}
