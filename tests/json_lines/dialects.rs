//! Requests and their answers, byte for byte, whatever pieces they come in.

use crate::caller::{Server, exchange};
use crate::endpoint::endpoint;

/// Checks that each of these is answered by these bytes.
async fn check(cases: &[(&str, &str)]) {
    let server = Server::new(&endpoint().0, |_| ());
    for (sent, expected) in cases {
        for seed in 0..8 {
            let heard = exchange(&server, sent.as_bytes(), seed).await;
            assert_eq!(heard, *expected, "{sent} in pieces of {seed}");
        }
    }
}

#[tokio::test]
async fn bare_lines_are_answered_as_the_article_has_them() {
    check(&[
        ("{\"Method\":\"CheckStock\",\"Params\":\"item1\"}\n", "{\"Result\":100,\"Error\":\"\"}\n"),
        ("{\"method\":\"CheckStock\",\"params\":\"item2\"}\n", "{\"Result\":50,\"Error\":\"\"}\n"),
        (
            "{\"Method\":\"CheckStock\",\"Params\":\"item3\"}\n",
            "{\"Result\":null,\"Error\":\"no item3\"}\n",
        ),
        ("{\"Method\":\"Arith.Multiply\",\"Params\":{\"A\":7,\"B\":8}}\n", &ok("56")),
        ("{\"Method\":\"NOTHING\"}\n", &ok("null")),
        // By netcat as it is typed: with CR, with empty lines, without the last line's end.
        ("\r\n\n {\"Method\":\"NOTHING\"} \r\n\n{\"Method\":\"NOTHING\"}", &ok("null").repeat(2)),
        ("", ""),
        ("\n\n", ""),
    ])
    .await;
}

fn ok(result: &str) -> String {
    format!("{{\"Result\":{result},\"Error\":\"\"}}\n")
}

#[tokio::test]
async fn a_bare_line_that_is_wrong_does_no_harm_to_the_next() {
    let server = Server::new(&endpoint().0, |_| ());
    // (line, the error)
    let cases = [
        ("{\"Method\":\"CheckStock\",\"Par", "the line is not JSON: it ends too early"),
        ("CheckStock item1", "the line is not JSON: syntax error at byte 1"),
        ("17", "a request is an object"),
        ("{}", "a request has a method"),
        ("{\"Method\":\"Check Stock\"}", "no command can have this name"),
        ("{\"Method\":\"Nothing\"}", "there is no command Nothing; ? lists them"),
        ("{\"Method\":\"A\",\"Method\":\"A\"}", "the member Method comes twice"),
        (
            "{\"Method\":\"CheckStock\",\"Params\":7}",
            "the payload is not valid json: expected a string at line 1 column 1",
        ),
        ("{\"Method\":\"SECRET\"}", "the handler failed"),
        ("{\"Method\":\"PANIC\"}", "the handler panicked"),
        ("{\"Method\":\"STRING\"}", "STRING is a raw command: call it plainly"),
        (
            "{\"Method\":\"COUNT\",\"Params\":3}",
            "this command is streamed, and this way to call it carries no items",
        ),
    ];
    let good = "{\"Method\":\"CheckStock\",\"Params\":\"item1\"}";
    for (line, error) in cases {
        let heard = exchange(&server, format!("{line}\n{good}\n").as_bytes(), 3).await;
        let error = serde_json::to_string(error).unwrap();
        let expected = format!("{{\"Result\":null,\"Error\":{error}}}\n{}", ok("100"));
        assert_eq!(heard, expected, "{line}");
    }
}

/// Those of the specification that one connection can have, and their answers as it shows them.
#[tokio::test]
async fn jsonrpc_2_is_answered_as_its_specification_says() {
    check(&[
        (
            r#"{"jsonrpc": "2.0", "method": "PAIR", "params": [42, 23], "id": 1}"#,
            "{\"jsonrpc\":\"2.0\",\"result\":19,\"id\":1}\n",
        ),
        (
            r#"{"jsonrpc": "2.0", "method": "PAIR", "params": {"right": 23, "left": 42}, "id": 3}"#,
            "{\"jsonrpc\":\"2.0\",\"result\":19,\"id\":3}\n",
        ),
        (r#"{"jsonrpc": "2.0", "method": "NOTE", "params": [1]}"#, ""),
        (r#"{"jsonrpc": "2.0", "method": "foobar"}"#, ""),
        (r#"{"jsonrpc": "2.0", "method": "PAIR", "params": "wrong"}"#, ""),
        (
            r#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#,
            &failed(
                -32_601,
                "there is no command foobar; ? lists them",
                "unknown_command",
                "\"1\"",
            ),
        ),
        (
            r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#,
            &flaw(-32_700, "the line is not JSON: syntax error at byte 40"),
        ),
        (
            r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#,
            &flaw(-32_600, "the method is a text"),
        ),
        (
            r#"[{"jsonrpc": "2.0", "method": "sum", "id": "1"},{"jsonrpc": "2.0", "method""#,
            &flaw(-32_700, "the line is not JSON: it ends too early"),
        ),
        ("[]", &flaw(-32_600, "a batch has at least one entry")),
        ("[1]", &format!("[{}]\n", flaw(-32_600, "a request is an object").trim())),
    ])
    .await;
}

#[tokio::test]
async fn a_batch_is_answered_in_one_line_in_its_own_order() {
    let no_object = flaw(-32_600, "a request is an object");
    let no_command = "there is no command foo.get; ? lists them";
    check(&[
        (
            concat!(
                r#"[{"jsonrpc":"2.0","method":"Arith.Slow","params":[9],"id":"1"},"#,
                r#"{"jsonrpc":"2.0","method":"NOTE","params":[7]},"#,
                r#"{"jsonrpc":"2.0","method":"PAIR","params":[42,23],"id":"2"},1,"#,
                r#"{"jsonrpc":"2.0","method":"foo.get","params":{"name":"myself"},"id":"5"}]"#,
            ),
            &format!(
                "[{},{},{},{}]\n",
                r#"{"jsonrpc":"2.0","result":9,"id":"1"}"#,
                r#"{"jsonrpc":"2.0","result":19,"id":"2"}"#,
                no_object.trim(),
                failed(-32_601, no_command, "unknown_command", "\"5\"").trim(),
            ),
        ),
        (
            concat!(
                r#"[{"jsonrpc":"2.0","method":"NOTE","params":[7]},"#,
                r#"{"jsonrpc":"2.0","method":"no such method","params":[7]}]"#
            ),
            "",
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_id_comes_back_as_it_came() {
    let server = Server::new(&endpoint().0, |_| ());
    let digits = "9".repeat(100_000);
    for id in ["0", "-1.50e+3", "\"\\u0041\"", "\"\"", "null", "18446744073709551616", &digits] {
        let sent = format!(r#"{{"jsonrpc":"2.0","method":"NOTHING","id":{id}}}"#);
        let heard = exchange(&server, sent.as_bytes(), 0).await;
        assert_eq!(heard, format!("{{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":{id}}}\n"));
    }
    for id in ["true", "[1]", "{}"] {
        let sent = format!(r#"{{"jsonrpc":"2.0","method":"NOTHING","id":{id}}}"#);
        let heard = exchange(&server, sent.as_bytes(), 0).await;
        assert_eq!(heard, flaw(-32_600, "the id is a text, a number or null"), "{id}");
    }
}

#[tokio::test]
async fn parameters_are_read_as_the_command_wants_them() {
    let server = Server::new(&endpoint().0, |_| ());
    let expected = "the payload is not valid json: ";
    // (method, params, the result or the beginning of the error)
    let cases = [
        ("CheckStock", r#"["item1"]"#, Ok("100")),
        ("CheckStock", r#""item1""#, Ok("100")),
        ("CheckStock", r#"["item1","item2"]"#, Err(expected)),
        ("CheckStock", "[7]", Err(expected)),
        ("CheckStock", "[]", Err(expected)),
        ("CheckStock", r#"{"item":"item1"}"#, Err(expected)),
        ("Arith.Multiply", r#"{"A":7,"B":8}"#, Ok("56")),
        ("Arith.Multiply", r#"[{"A":7,"B":8}]"#, Ok("56")),
        ("Arith.Multiply", "[7,8]", Ok("56")),
        ("SUM", "[1,2,3]", Ok("6")),
        ("SUM", "[1]", Ok("1")),
        ("SUM", "[[1,2,3]]", Ok("6")),
        ("SUM", "[]", Ok("0")),
        ("NOTHING", "[]", Ok("null")),
        ("NOTHING", "[ ]", Ok("null")),
        ("NOTHING", "null", Ok("null")),
        ("NOTHING", "[1]", Err(expected)),
        // What reads a list is given the list.
        ("ECHO", "[1]", Ok("[1]")),
        ("ECHO", "[]", Ok("[]")),
        ("ECHO", r#"{"a":[{"b":null}]}"#, Ok(r#"{"a":[{"b":null}]}"#)),
        // The second reading is none of a handler's error.
        ("FAIL", r#"["bad_payload"]"#, Err("so it is")),
    ];
    for (method, params, outcome) in cases {
        let sent = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params},"id":1}}"#);
        let heard = exchange(&server, sent.as_bytes(), 0).await;
        let heard: serde_json::Value = serde_json::from_str(&heard).unwrap();
        match outcome {
            Ok(result) => assert_eq!(heard["result"].to_string(), result, "{sent}"),
            Err(begin) => {
                assert_eq!(heard["error"]["code"], -32_602, "{sent}");
                assert!(heard["error"]["message"].as_str().unwrap().starts_with(begin), "{heard}");
            }
        }
    }
}

#[tokio::test]
async fn errors_have_a_number_a_word_and_their_details() {
    let server = Server::new(&endpoint().0, |_| ());
    let cases = [
        ("not_found", -32_003),
        ("conflict", -32_004),
        ("deadline_exceeded", -32_005),
        ("cancelled", -32_006),
        ("overloaded", -32_007),
        ("unauthenticated", -32_008),
        ("denied", -32_009),
        ("shutting_down", -32_010),
        ("failed", -32_000),
        ("too_large", -32_001),
        ("invalid", -32_602),
    ];
    for (code, number) in cases {
        let sent = format!(r#"{{"jsonrpc":"2.0","method":"FAIL","params":["{code}"],"id":1}}"#);
        let heard = exchange(&server, sent.as_bytes(), 0).await;
        // Whose handler says so, has run: a drain need not mean that.
        let told = "\"shutting_down\",\"ran\":true";
        let expected = failed(number, "so it is", code, "1");
        assert_eq!(heard, expected.replace("\"shutting_down\"", told));
    }
    let sent = r#"{"jsonrpc":"2.0","method":"BUSY","params":[17],"id":1}"#;
    let expected = "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32007,\
                    \"message\":\"the queue is full\",\
                    \"data\":{\"code\":\"overloaded\",\"details\":{\"waiting\":17},\
                    \"retry_ms\":2000}},\"id\":1}\n";
    assert_eq!(exchange(&server, sent.as_bytes(), 0).await, expected);
    for (method, number, text, code) in [
        ("SECRET", -32_000, "the handler failed", "failed"),
        ("PANIC", -32_603, "the handler panicked", "panicked"),
        ("STRING", -32_002, "STRING is a raw command: call it plainly", "unsupported_format"),
        (
            "COUNT",
            -32_002,
            "this command is streamed, and this way to call it carries no items",
            "unsupported_format",
        ),
    ] {
        let sent = format!(r#"{{"jsonrpc":"2.0","method":"{method}","id":1}}"#);
        let heard = exchange(&server, sent.as_bytes(), 0).await;
        assert_eq!(heard, failed(number, text, code, "1"));
    }
}

/// Without a member `jsonrpc`, as Go has it.
#[tokio::test]
async fn jsonrpc_1_is_answered_as_go_s_server_does() {
    check(&[
        (
            "{\"method\":\"Arith.Multiply\",\"params\":[{\"A\":7,\"B\":8}],\"id\":0}\n",
            "{\"id\":0,\"result\":56,\"error\":null}\n",
        ),
        (
            "{\"method\":\"Arith.Divide\",\"params\":[{\"A\":7,\"B\":0}],\"id\":1}\n",
            "{\"id\":1,\"result\":null,\"error\":\"divide by zero\"}\n",
        ),
        (
            "{\"method\":\"SUM\",\"params\":[[1,2]],\"id\":2}\n",
            "{\"id\":2,\"result\":3,\"error\":null}\n",
        ),
        (
            "{\"method\":\"SUM\",\"params\":[1,2],\"id\":[\"any\"]}\n",
            "{\"id\":[\"any\"],\"result\":3,\"error\":null}\n",
        ),
        ("{\"method\":\"NOTE\",\"params\":[1],\"id\":null}\n", ""),
        (
            "{\"method\":\"NOTHING\",\"params\":[],\"id\":3}\n",
            "{\"id\":3,\"result\":null,\"error\":null}\n",
        ),
        (
            "{\"method\":\"SUM\",\"params\":[5],\"id\":3}\n",
            "{\"id\":3,\"result\":5,\"error\":null}\n",
        ),
        ("{\"id\":4}\n", "{\"id\":4,\"result\":null,\"error\":\"a request has a method\"}\n"),
    ])
    .await;
}

fn failed(number: i32, text: &str, code: &str, id: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"error\":{{\"code\":{number},\"message\":\"{text}\",\
         \"data\":{{\"code\":\"{code}\"}}}},\"id\":{id}}}\n"
    )
}

fn flaw(number: i32, text: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"error\":{{\"code\":{number},\"message\":\"{text}\"}},\
         \"id\":null}}\n"
    )
}

/// Two readers would not agree on what such a line says, whatever else is there twice.
#[tokio::test(start_paused = true)]
async fn a_member_that_comes_twice_is_refused_in_any_company() {
    let server = Server::new(&endpoint().0, |_| ());
    let others = ["", r#""Method":0,"Method":0,"#, r#""Params":0,"Params":1,"#, r#""x":0,"x":0,"#];
    for other in others {
        for (twice, rest) in [
            (r#""method":"A","method":"CheckStock""#, r#""params":["item1"],"id":1"#),
            (r#""params":["item2"],"params":["item1"]"#, r#""method":"CheckStock","id":1"#),
            (r#""id":1,"id":2"#, r#""method":"CheckStock","params":["item1"]"#),
        ] {
            for version in [r#""jsonrpc":"2.0","#, ""] {
                let sent = format!("{{{version}{other}{twice},{rest}}}");
                let heard = exchange(&server, sent.as_bytes(), 0).await;
                assert!(heard.contains("comes twice"), "{sent}: {heard}");
                // Nobody knows which of two it is.
                let id = if twice.contains("id") { "\"id\":null" } else { "\"id\":1" };
                assert!(heard.contains(id), "{sent}: {heard}");
            }
        }
    }
}
