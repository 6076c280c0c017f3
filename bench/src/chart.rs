//! The picture of the ratios: bars on a logarithmic scale, to the right where kumihimo needs less.

use std::fmt::Write;

use crate::contest::Outcome;
use crate::measure::Metric;

/// Width of the picture.
const WIDTH: f64 = 860.0;
/// Where the names end and the bars may begin.
const LEFT: f64 = 200.0;
/// Free space right of the longest bar, for its number.
const RIGHT: f64 = 60.0;
/// Height of a row with its two bars.
const ROW: f64 = 30.0;
/// Height of a bar.
const BAR: f64 = 11.0;
/// Height above the first row.
const TOP: f64 = 64.0;

/// The first and the second bar of a row: name in the legend, and colour.
const BARS: [(&str, &str); 2] =
    [("wall time (p50 for latencies)", "#2f6f8f"), ("CPU time (p99 for latencies)", "#d9903d")];

/// The ratios that a row shows; none if kumihimo or the peers took no part.
fn ratios(outcome: &Outcome) -> Option<[f64; 2]> {
    let metrics = match outcome.row.metrics {
        [first @ (Metric::Wall | Metric::P50), second, ..] => [*first, *second],
        [Metric::Bytes] => [Metric::Bytes; 2],
        _ => return None,
    };
    Some([outcome.ratio(metrics[0])?, outcome.ratio(metrics[1])?])
}

/// docs/benchmarks.svg
pub(crate) fn draw(outcomes: &[Outcome]) -> String {
    let rows: Vec<_> =
        outcomes.iter().filter_map(|outcome| Some((outcome.row.name, ratios(outcome)?))).collect();
    let logs = || rows.iter().flat_map(|(_, ratios)| ratios).map(|ratio| ratio.log2());
    // Whole powers of two at both ends, and 1/2 to 4 at least.
    let low = logs().fold(-1.0, f64::min).floor().max(-6.0);
    let high = logs().fold(2.0, f64::max).ceil().min(10.0);
    let scale = Scale { low, high };
    let height = TOP + ROW * rows.len() as f64 + 16.0;

    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">
<title>The better peer's figure over kumihimo's</title>
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
<text x="12" y="20" font-size="14" font-weight="bold">The better peer's figure over kumihimo's: to the right of 1, kumihimo needs less</text>
"##
    );
    for (index, (name, colour)) in BARS.iter().enumerate() {
        let x = LEFT + 250.0 * index as f64;
        let _ = writeln!(svg, r#"<rect x="{x}" y="30" width="12" height="{BAR}" fill="{colour}"/>"#);
        let _ = writeln!(svg, r#"<text x="{}" y="40">{name}</text>"#, x + 18.0);
    }
    for power in low as i32..=high as i32 {
        let x = scale.x(f64::from(power));
        let (colour, width) = if power == 0 { ("#333333", 1.5) } else { ("#dddddd", 1.0) };
        let label = if power < 0 { format!("1/{}", 1 << -power) } else { format!("{}", 1 << power) };
        let _ =
            writeln!(svg, r##"<text x="{x:.1}" y="58" text-anchor="middle" fill="#555555">{label}</text>"##);
        let _ = writeln!(
            svg,
            r#"<line x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{}" stroke="{colour}" stroke-width="{width}"/>"#,
            height - 12.0
        );
    }
    for (index, (name, ratios)) in rows.iter().enumerate() {
        draw_row(&mut svg, &scale, TOP + ROW * index as f64, name, *ratios);
    }
    svg + "</svg>\n"
}

/// A name and its two bars.
fn draw_row(svg: &mut String, scale: &Scale, y: f64, name: &str, ratios: [f64; 2]) {
    let _ = writeln!(svg, r#"<text x="{}" y="{}" text-anchor="end">{name}</text>"#, LEFT - 10.0, y + 19.0);
    for (index, (ratio, (_, colour))) in ratios.iter().zip(BARS).enumerate() {
        let y = y + 3.0 + BAR * index as f64;
        let (one, end) = (scale.x(0.0), scale.x(ratio.log2()));
        let (x, width) = (one.min(end), (end - one).abs().max(1.0));
        let _ =
            writeln!(svg, r#"<rect x="{x:.1}" y="{y}" width="{width:.1}" height="{BAR}" fill="{colour}"/>"#);
        // Beside the bar on the right, where there is always room.
        let text = one.max(end) + 4.0;
        let _ = writeln!(
            svg,
            r##"<text x="{text:.1}" y="{}" font-size="10" fill="#333333">{ratio:.2}</text>"##,
            y + 9.0
        );
    }
}

/// From the logarithm of a ratio to a place on the picture.
struct Scale {
    /// The logarithm at the left edge.
    low: f64,
    /// The logarithm at the right edge.
    high: f64,
}

impl Scale {
    /// Where `log` is, within the edges.
    fn x(&self, log: f64) -> f64 {
        let share = (log.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows;
    use crate::runtimes::Contender;

    #[test]
    fn draws_what_has_a_ratio_and_nothing_else() {
        let row = |name| rows::find(name).expect("there is one");
        let both = vec![(Contender::Kumihimo, vec![100.0, 100.0]), (Contender::Tokio, vec![800.0, 50.0])];
        let peers_only = vec![(Contender::Tokio, vec![800.0, 50.0])];
        let svg = draw(&[Outcome::of(row("spawn_join"), both), Outcome::of(row("fib_tree"), peers_only)]);
        assert!(svg.contains("spawn_join") && svg.contains(">8.00<") && svg.contains(">0.50<"));
        assert!(!svg.contains("fib_tree"));
        assert!(!svg.contains("NaN"));
    }
}
