import ApusBytes
import ApusExposition

/// What counters, gauges, histograms and summaries have in common: the series they are.
///
/// Keep the handle where a metric is updated often: an update through it touches nothing but the metric's own cells.
/// A handle stays usable after its series was removed from the registry; it is only no longer shown.
public class Instrument: @unchecked Sendable {
    // `@unchecked` because it has subclasses: everything here is constant, and theirs is atomic or locked.

    /// What names the series, prepared for writing once.
    @usableFromInline let series: SeriesText
    @usableFromInline let faults: UpdateFaults

    init(series: SeriesText, faults: UpdateFaults) {
        self.series = series
        self.faults = faults
    }

    /// Appends the lines of this series to a page.
    func write(to page: inout [UInt8]) {}
}

/// A series' name and labels, escaped.
@usableFromInline
struct SeriesText: Sendable {
    let name: ByteString
    /// `a="1",b="2"`, constant labels first.
    let labels: [UInt8]
    /// The key of the label values; what series of a family are found and sorted by.
    let key: [UInt8]

    func isBefore(_ other: SeriesText) -> Bool { compareBytes(labels.span, other.labels.span) < 0 }

    /// `name{a="1"} `.
    func head(suffix: StaticString = "") -> [UInt8] {
        var head: [UInt8] = []
        head.appendSeriesHead(name: name, suffix: suffix, labels: labels)
        return head
    }
    /// `name_bucket{a="1",le=`, for one more label to follow.
    func openHead(suffix: StaticString = "", label: StaticString) -> [UInt8] {
        var head: [UInt8] = []
        head.appendSeriesHead(name: name, suffix: suffix, labels: labels, open: true)
        label.withUTF8Buffer { unsafe head.append(contentsOf: $0) }
        head.append(UInt8(ascii: "="))
        return head
    }
}
