//! What a person does with the page: links into it, the browser's Back, the panel's width, a small screen.

use crate::Viewer;
use crate::driven::Driven;

const WIDE: (u32, u32) = (1400, 900);
const PHONE: (u32, u32) = (390, 844);

fn shows(page: &mut Driven, id: &str) {
    page.until(&format!("document.getElementById('detail').dataset.shows === '{id}'"));
}

fn first_ids(viewer: &Viewer, filter: &str) -> Vec<String> {
    let found = viewer.json(&format!("/api/events.json?{filter}"));
    found["events"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn back_undoes_what_was_chosen_and_filtered_and_not_how_far_it_was_zoomed() {
    let viewer = Viewer::start();
    let Some(mut page) = Driven::open(&viewer, "", WIDE) else { return };
    let ids = first_ids(&viewer, "limit=2");
    for id in &ids {
        page.until(&format!("document.getElementById('row-{id}') !== null"));
        page.eval(&format!("document.getElementById('row-{id}').click()"));
        shows(&mut page, id);
        page.until(&format!("location.hash.includes('sel={id}')"));
    }
    page.eval("document.getElementById('zoom-in').click()");
    page.until("location.hash.includes('from=')");
    page.eval("document.querySelector('[data-choice=\"kind-mail\"]').click()");
    page.until("location.hash.includes('kind=mail')");
    page.eval("history.back()");
    page.until("!location.hash.includes('kind=mail') && document.getElementById('clear').hidden");
    page.until("location.hash.includes('from=')");
    page.eval("history.back()");
    shows(&mut page, &ids[0]);
    page.eval("history.back()");
    page.until("document.getElementById('detail').dataset.shows === undefined && !location.hash.includes('sel=')");
    page.eval("history.forward()");
    shows(&mut page, &ids[0]);
}

#[test]
fn a_link_chooses_the_very_event_that_it_names() {
    let viewer = Viewer::start();
    for id in ["x7", "m-hq-wisp-1", "q-mr-ev-41k"] {
        let Some(mut page) = Driven::open(&viewer, &format!("#agent=mayor&at=0.1&sel={id}"), WIDE) else { return };
        shows(&mut page, id);
        assert_eq!(page.eval("history.length"), 2, "arriving by a link is no step of its own");
    }
    // A moment with two decimals names what began then, not what was still going on.
    let calls = viewer.json("/api/events.json?agent=alice/furiosa&kind=model_call");
    let call = &calls["events"][2];
    let at = format!("{:.2}", call["start"].as_f64().unwrap());
    let Some(mut page) = Driven::open(&viewer, &format!("#agent=alice/furiosa&at={at}"), WIDE) else { return };
    shows(&mut page, call["id"].as_str().unwrap());
}

#[test]
fn what_a_link_names_and_the_run_does_not_have_is_said() {
    let viewer = Viewer::start();
    for (hash, said) in [
        ("#agent=nobody/here&at=3", "No agent “nobody/here” in this run"),
        ("#agent=%1b%5b2J", "No agent “\\\\x1b[2J” in this run"),
        ("#sel=x99999", "Not in this run"),
    ] {
        let Some(mut page) = Driven::open(&viewer, hash, WIDE) else { return };
        page.until(&format!("document.getElementById('detail').innerText.includes('{said}')"));
    }
}

#[test]
fn the_width_of_the_panel_is_remembered() {
    let viewer = Viewer::start();
    let Some(mut page) = Driven::open(&viewer, "", WIDE) else { return };
    let width = "Math.round(document.getElementById('detail').getBoundingClientRect().width)";
    let before = page.eval(width).as_f64().unwrap();
    let wider = "document.getElementById('split-v').dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft' }))";
    page.eval(&format!("{wider}; {wider}"));
    let after = page.eval(width).as_f64().unwrap();
    assert!((after - before - 60.0).abs() < 2.0, "{before} {after}");
    page.reload();
    assert_eq!(page.eval(width).as_f64(), Some(after));
}

#[test]
fn on_a_phone_lanes_list_and_detail_have_room_and_nothing_is_cut_off() {
    let viewer = Viewer::start();
    let Some(mut page) = Driven::open(&viewer, "", PHONE) else { return };
    for (id, least) in [("lanes", 200.0), ("list", 120.0), ("detail", 200.0)] {
        let height = page.eval(&format!("document.getElementById('{id}').getBoundingClientRect().height"));
        assert!(height.as_f64().unwrap() >= least, "{id}: {height}");
    }
    let id = &first_ids(&viewer, "kind=model_call")[3];
    page.eval(&format!("location.hash = '#sel={id}'"));
    shows(&mut page, id);
    page.until("document.querySelector('.conversation .answer') !== null");
    assert!(page.eval("document.documentElement.scrollWidth").as_f64().unwrap() <= 390.0);
    assert!(page.eval("document.getElementById('canvas').getBoundingClientRect().width").as_f64().unwrap() > 200.0);
}
