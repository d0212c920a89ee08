//! Plot of cost against size, as an SVG that is readable on light and on dark pages.

use crate::Figures;
use relayline_bench::machine::Load;
use std::fmt::Write as _;

/// Size of the picture, in pixels.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
/// Margins for the labels, in pixels.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 48.0;
/// A color for each line: distinguishable without red and green, and on white as on black.
const COLORS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a6761d"];
/// Minimum distance of two labels, in pixels.
const LABEL: f64 = 15.0;

/// Draws the time of an event against the number of chats, requests and others that the machine keeps.
pub(crate) fn cost_by_size(time: &Figures) -> String {
    let lines: Vec<(Load, Vec<(f64, f64)>)> =
        Load::ALL.into_iter().map(|load| (load, points(time, load))).collect();
    let all = || lines.iter().flat_map(|(_, points)| points);
    let most_ns = all().map(|(_, ns)| *ns).fold(0.0, f64::max) * 1.1;
    let (least, most) = all().fold((f64::MAX, 0.0_f64), |(least, most), (n, _)| (n.min(least), n.max(most)));
    let x = |n: f64| LEFT + (n / least).log10() / (most / least).log10() * (WIDTH - LEFT - RIGHT);
    let y = |ns: f64| HEIGHT - BOTTOM - ns / most_ns * (HEIGHT - TOP - BOTTOM);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\" role=\"img\">\n<title>Time of an event against the number of chats, requests, prompts, streams \
         and unsettled deliveries</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let step = step(most_ns);
    for number in 0..=(most_ns / step) as u32 {
        let ns = step * f64::from(number);
        let (y, end) = (y(ns), WIDTH - RIGHT);
        let _ = writeln!(svg, r##"<line x1="{LEFT}" x2="{end}" y1="{y:.1}" y2="{y:.1}" stroke="#ddd"/>"##);
        label(&mut svg, (LEFT - 8.0, y + 4.0), "end", "#444", &format!("{ns:.0} ns"));
    }
    for (n, _) in &lines[0].1 {
        label(&mut svg, (x(*n), HEIGHT - BOTTOM + 20.0), "middle", "#444", &n.to_string());
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    label(&mut svg, (middle, HEIGHT - 8.0), "middle", "#444", "number kept by the machine");
    let mut labels: Vec<(f64, Load, &str)> = Vec::new();
    for ((load, points), color) in lines.iter().zip(COLORS) {
        let places: Vec<String> =
            points.iter().map(|(n, ns)| format!("{:.1},{:.1}", x(*n), y(*ns))).collect();
        let line = places.join(" ");
        let _ = writeln!(svg, r#"<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>"#);
        for (n, ns) in points {
            let _ = writeln!(svg, r#"<circle cx="{:.1}" cy="{:.1}" r="3" fill="{color}"/>"#, x(*n), y(*ns));
        }
        labels.extend(points.last().map(|(_, ns)| (y(*ns) + 4.0, *load, color)));
    }
    // Labels that would cover each other move down.
    labels.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut lowest = f64::MIN;
    for (y, load, color) in labels {
        lowest = y.max(lowest + LABEL);
        label(&mut svg, (WIDTH - RIGHT + 10.0, lowest), "start", color, load.name());
    }
    svg + "</svg>\n"
}

/// Returns the distance of the grid's lines: a round number of which some four fit.
fn step(most_ns: f64) -> f64 {
    let power = 10_f64.powf((most_ns / 4.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    steps.into_iter().find(|step| most_ns / step <= 5.0).unwrap_or(most_ns)
}

fn label(svg: &mut String, (x, y): (f64, f64), anchor: &str, color: &str, text: &str) {
    let _ =
        writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{color}">{text}</text>"#);
}

/// Returns the times under a load, by its size.
fn points(time: &Figures, load: Load) -> Vec<(f64, f64)> {
    let of = |(name, ns): (&String, &f64)| {
        Some((name.strip_prefix(load.name())?.strip_prefix('/')?.parse().ok()?, *ns))
    };
    let mut points: Vec<(f64, f64)> = time.iter().filter_map(of).collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    points
}
