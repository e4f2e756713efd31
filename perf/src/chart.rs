//! A comparison as a picture (SVG): for every load of the first tool, each server's CPU per request and
//! throughput relative to the reference peer, so that pipelines whose figures differ by a factor of thirty
//! fit one scale. A bar is the median, the thin line its range, the text the plain figure.

use std::fmt::Write;

use crate::results::{Comparison, Figure, SUBJECT, Scenario, spread};
use crate::spread::Spread;

const BAR_HEIGHT: f64 = 16.0;
const GROUP_GAP: f64 = 12.0;
const PANEL_WIDTH: f64 = 430.0;
const LABEL_WIDTH: f64 = 70.0;
const MARGIN: f64 = 20.0;
const HEAD_HEIGHT: f64 = 70.0;
/// Room at the right of the bars for the plain figures.
const FIGURE_WIDTH: f64 = 110.0;

/// The server under test stands out; peers are muted.
const COLOURS: [&str; 6] = ["#c2410c", "#64748b", "#94a3b8", "#cbd5e1", "#a8a29e", "#d6d3d1"];

/// `None` when there is no load, or no peer, to draw.
pub fn svg(comparison: &Comparison) -> Option<String> {
    let reference = comparison.reference()?;
    let first_source = &comparison.scenarios.first()?.source;
    let scenarios: Vec<&Scenario> =
        comparison.scenarios.iter().filter(|scenario| scenario.source == *first_source).collect();

    let group_height = comparison.servers.len() as f64 * BAR_HEIGHT + GROUP_GAP;
    let legend_height = comparison.servers.len() as f64 * 18.0 + 10.0;
    let panel_height = scenarios.len() as f64 * group_height;
    let width = MARGIN * 2.0 + LABEL_WIDTH + PANEL_WIDTH * 2.0;
    let height = HEAD_HEIGHT + panel_height + legend_height + MARGIN;

    let mut picture = String::new();
    let _ = writeln!(
        picture,
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">
<rect width="{width}" height="{height}" fill="#ffffff"/>"##
    );
    text(
        &mut picture,
        MARGIN,
        24.0,
        "start",
        &format!(
            "{}, {}, relative to {} ({}-byte values, {} keys, {} connections)",
            comparison.date,
            first_source,
            comparison.label(reference),
            comparison.value_bytes,
            comparison.keys,
            comparison.connections,
        ),
    );
    let panels = [
        (Figure::CpuPerRequest, "server CPU per request (less is better), µs"),
        (Figure::RequestsPerSecond, "requests per second (more is better), thousands"),
    ];
    for (column, (figure, title)) in panels.into_iter().enumerate() {
        let left = MARGIN + LABEL_WIDTH + PANEL_WIDTH * column as f64;
        text(&mut picture, left, HEAD_HEIGHT - 18.0, "start", title);
        panel(&mut picture, comparison, &scenarios, reference, figure, left);
    }
    for (row, scenario) in scenarios.iter().enumerate() {
        let y = HEAD_HEIGHT + row as f64 * group_height + (group_height - GROUP_GAP) / 2.0 + 4.0;
        let label = format!("{} P{}", scenario.verb.name(), scenario.pipeline);
        text(&mut picture, MARGIN, y, "start", &label);
    }
    for server in 0..comparison.servers.len() {
        let y = HEAD_HEIGHT + panel_height + 10.0 + server as f64 * 18.0;
        let _ = writeln!(
            picture,
            r#"<rect x="{MARGIN}" y="{y}" width="12" height="12" fill="{}"/>"#,
            colour(server),
        );
        text(&mut picture, MARGIN + 18.0, y + 10.0, "start", &comparison.label(server));
    }
    picture.push_str("</svg>\n");
    Some(picture)
}

fn panel(
    picture: &mut String,
    comparison: &Comparison,
    scenarios: &[&Scenario],
    reference: usize,
    figure: Figure,
    left: f64,
) {
    let group_height = comparison.servers.len() as f64 * BAR_HEIGHT + GROUP_GAP;
    let bars_width = PANEL_WIDTH - FIGURE_WIDTH;
    // (row, server, plain figure, figure relative to the reference's median)
    let mut bars: Vec<(usize, usize, Spread, Spread)> = Vec::new();
    for (row, scenario) in scenarios.iter().enumerate() {
        let Some(base) = spread(&scenario.samples, reference, figure) else {
            continue;
        };
        for server in 0..comparison.servers.len() {
            if let Some(plain) = spread(&scenario.samples, server, figure)
                && base.median > 0.0
            {
                bars.push((row, server, plain, plain.scaled(1.0 / base.median)));
            }
        }
    }
    let largest = bars.iter().map(|(.., relative)| relative.max).fold(1.0, f64::max);
    let scale = bars_width / largest;
    let bottom = HEAD_HEIGHT + scenarios.len() as f64 * group_height - GROUP_GAP;
    let one = left + scale;
    let _ = writeln!(
        picture,
        r##"<line x1="{one:.1}" y1="{:.1}" x2="{one:.1}" y2="{bottom:.1}" stroke="#334155" stroke-dasharray="3 3"/>"##,
        HEAD_HEIGHT - 6.0,
    );
    for (row, server, plain, relative) in bars {
        let y = HEAD_HEIGHT + row as f64 * group_height + server as f64 * BAR_HEIGHT;
        let _ = writeln!(
            picture,
            r#"<rect x="{left:.1}" y="{:.1}" width="{:.1}" height="{:.1}" fill="{}"/>"#,
            y + 1.0,
            relative.median * scale,
            BAR_HEIGHT - 2.0,
            colour(server),
        );
        let middle = y + BAR_HEIGHT / 2.0;
        let _ = writeln!(
            picture,
            r##"<line x1="{:.1}" y1="{middle:.1}" x2="{:.1}" y2="{middle:.1}" stroke="#0f172a"/>"##,
            left + relative.min * scale,
            left + relative.max * scale,
        );
        let figure_text = match figure {
            Figure::CpuPerRequest => format!("{:.2} ({:.2}×)", plain.median, relative.median),
            Figure::RequestsPerSecond => {
                format!("{:.0} ({:.2}×)", plain.median / 1_000.0, relative.median)
            }
        };
        let text_at = left + relative.median.max(relative.max) * scale + 5.0;
        text(picture, text_at, middle + 4.0, "start", &figure_text);
    }
}

fn colour(server: usize) -> &'static str {
    if server == SUBJECT { COLOURS[0] } else { COLOURS[1 + (server - 1) % (COLOURS.len() - 1)] }
}

fn text(picture: &mut String, x: f64, y: f64, anchor: &str, content: &str) {
    let _ = writeln!(
        picture,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#,
        escape(content),
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::example;
    use quick_xml::Reader;
    use quick_xml::events::Event;

    /// Number of elements with this name in a document that must be well-formed.
    fn count_elements(document: &str, name: &str) -> usize {
        let mut reader = Reader::from_str(document);
        reader.config_mut().check_end_names = true;
        let (mut count, mut depth) = (0, 0usize);
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => break,
                Event::Start(element) => {
                    depth += 1;
                    count += usize::from(element.name().as_ref() == name.as_bytes());
                    assert!(element.attributes().all(|attribute| attribute.is_ok()));
                }
                Event::Empty(element) => {
                    count += usize::from(element.name().as_ref() == name.as_bytes());
                    assert!(element.attributes().all(|attribute| attribute.is_ok()));
                }
                Event::End(_) => depth -= 1,
                _ => {}
            }
        }
        assert_eq!(depth, 0);
        count
    }

    #[test]
    fn picture_is_well_formed_and_has_a_bar_for_every_figure() {
        let mut comparison = example::comparison();
        comparison.servers[1].name = "a<b & \"c\"".to_owned();
        let picture = svg(&comparison).unwrap();
        // Background, three servers in two panels, three in the legend.
        assert_eq!(count_elements(&picture, "rect"), 1 + 3 * 2 + 3);
        assert_eq!(count_elements(&picture, "svg"), 1);
        assert!(!picture.contains("NaN"));
    }

    #[test]
    fn without_peers_or_loads_there_is_no_picture() {
        let mut comparison = example::comparison();
        comparison.scenarios.clear();
        assert_eq!(svg(&comparison), None);
        let mut comparison = example::comparison();
        comparison.servers.truncate(1);
        assert_eq!(svg(&comparison), None);
    }

    #[test]
    fn many_peers_have_colours() {
        assert_eq!(colour(0), COLOURS[0]);
        assert!((1..30).all(|server| colour(server) != COLOURS[0]));
    }
}
