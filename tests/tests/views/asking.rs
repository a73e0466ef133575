//! What is no request between nodes is refused by a problem, like everything else.

use crate::stage::Stage;
use messages::{PROBLEM_JSON, Problem, ProblemType as Type, paths};

#[tokio::test]
async fn what_is_no_envelope_and_what_is_nowhere_is_told_by_a_problem() {
    let stage = Stage::set().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("{}{path}", stage.address(0));
    let json =
        |body: &'static str| http.post(url(paths::SESSION_SIGN)).header("content-type", "application/json").body(body);
    for (name, request, kind, field) in [
        ("an object that is no envelope", json("{}"), Type::MalformedRequest, Some("body")),
        ("no JSON", json("sign this"), Type::MalformedRequest, Some("body")),
        (
            "no media type",
            http.post(url(paths::NODE_STATUS)).body("{}"),
            Type::UnsupportedMediaType,
            Some("Content-Type"),
        ),
        ("another method", http.get(url(paths::NODE_STATUS)), Type::MethodNotAllowed, None),
        ("another path", http.get(url("/v2/nothing")), Type::NotFound, None),
    ] {
        let answer = request.send().await.unwrap();
        let (status, head) = (answer.status().as_u16(), answer.headers().clone());
        let problem: Problem = answer.json().await.unwrap();
        assert_eq!((problem.kind, problem.field.as_deref()), (kind, field), "{name}: {problem}");
        assert_eq!((status, problem.status), (kind.status(), kind.status()), "{name}: {problem}");
        assert_eq!(head["content-type"], PROBLEM_JSON, "{name}");
        assert_eq!(head.get("allow").is_some_and(|allow| allow == "POST"), kind == Type::MethodNotAllowed, "{name}");
    }
}
