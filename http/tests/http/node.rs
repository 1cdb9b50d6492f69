//! What a node says of itself, and questions in plain words.

use switchboard_http::{Cluster, Member};

use super::support::*;

fn named() -> Scene {
    Scene::with(Default::default(), |gateway| {
        let member = Member::new("n<1>", Some("10.0.0.1:80".into()));
        gateway.with_node(member, "1.2.3")
    })
}

#[tokio::test(start_paused = true)]
async fn a_node_alone_is_a_cluster_of_one() {
    let scene = named();
    let response = scene.exchange(get("/", "accept: application/json\r\n")).await;
    assert_eq!(header(&response, "content-type"), Some("application/json"));
    let expected = "{\"node\":{\"id\":\"n<1>\",\"address\":\"10.0.0.1:80\",\"version\":\"1.2.3\",\
                    \"uptime\":0},\"cluster\":{\"leader\":\"n<1>\",\"members\":[{\"id\":\"n<1>\",\
                    \"address\":\"10.0.0.1:80\"}]},\"health\":\"ready\"}\n";
    assert_eq!(body(&response), expected);
    let page = scene.exchange(get("/", "accept: text/html,*/*;q=0.8\r\n")).await;
    assert_eq!(header(&page, "content-type"), Some("text/html; charset=utf-8"));
    assert!(body(&page).contains("<h1>n&lt;1&gt;</h1>"), "{page}");
    assert!(body(&page).contains("at 10.0.0.1:80, version 1.2.3"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_says_who_belongs_to_it() {
    let scene = Scene::with(Default::default(), |gateway| {
        let members = || ["a", "b"].map(|id| Member::new(id, None)).to_vec();
        gateway.with_cluster(move || Cluster::new(Some("b".into()), members()))
    });
    let response = scene.exchange(get("/", "")).await;
    let expected = "\"cluster\":{\"leader\":\"b\",\"members\":[{\"id\":\"a\",\"address\":null},\
                    {\"id\":\"b\",\"address\":null}]}";
    assert!(body(&response).contains(expected), "{response}");
    let page = scene.exchange(get("/", "accept: text/html\r\n")).await;
    assert!(body(&page).contains("<li>b at an address not told, leads</li>"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn head_is_where_get_is() {
    let scene = named();
    for path in ["/", "/health", "/events/COUNT?request=1"] {
        let response = scene.exchange(get(path, "").replace("GET", "HEAD")).await;
        assert_eq!((status(&response), body(&response)), (200, ""), "{path} {response}");
    }
    let response = scene.exchange(get("/health", "")).await;
    assert_eq!((status(&response), body(&response)), (200, "{\"health\":\"ready\"}\n"));
}

#[tokio::test(start_paused = true)]
async fn a_query_is_a_text_or_the_name_of_a_command() {
    let scene = named();
    let check = async |query: &str, expected: u16, part: &str| {
        let response = scene.exchange(post("/query", query)).await;
        assert_eq!(status(&response), expected, "{query} {response}");
        assert!(body(&response).contains(part), "{query} {response}");
    };
    check("{\"query\": \"hello\"}", 200, "{\"answer\":\"HELLO\",\"node\":\"n<1>\"}\n").await;
    check("{\"query\": \"ADD\"}", 200, "{\"answer\":\"ADD\",").await;
    check("{\"query\": \"ADD\", \"params\": [1, 2]}", 200, "{\"answer\":3,").await;
    check("{\"query\": \"TELL\", \"params\": null}", 200, "{\"answer\":\"memory ").await;
    check("{\"query\": \"NONE\", \"params\": null}", 404, "unknown_command").await;
    check("{\"query\": \"COUNT\", \"params\": 1}", 400, "streamed").await;
    check("{\"query\": \"FAIL\", \"params\": \"conflict\"}", 409, "as you like").await;
    check("{\"query\": \"a\", ", 400, "it ends too early at line 1 column 15").await;
    check("{\"query\": \"a\",\n}", 400, "syntax error at line 2 column 1").await;
    check("{\"query\": 1}", 400, "at line 1 column 11").await;
    check("{\"query\": \"a\", \"param\": 1}", 400, "bad_payload").await;
    check("", 400, "bad_payload").await;
    check("[]", 400, "bad_payload").await;
}
