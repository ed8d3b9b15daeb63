import ApusBytes
import ApusExposition
import ApusModel
import ApusStorage

extension Pages {
    /// `/federate`: the newest sample of each series that a `match[]` finds, for another server to scrape.
    ///
    /// Text format 0.0.4, families in order of name, untyped, with timestamps. Samples older than the lookback delta
    /// and series that have ended are left out.
    func federate(_ request: ServerRequest) -> ServerResponse {
        do {
            let sets = try request.matcherSets()
            return ServerResponse(status: .ok, headers: [.contentType: Self.textFormat], body: try federated(sets))
        } catch let error as APIError {
            return .error(error.message, status: error.kind.status)
        } catch {
            return .error("\(error)", status: .internalServerError)
        }
    }

    private func federated(_ sets: [[Matcher]]) throws -> [UInt8] {
        let nowMs = components.time.wallMs()
        // Left-open, as a selector at this moment looks back.
        let oldestMs = nowMs - options.lookbackDeltaMs + 1
        let querier = try components.storage.querier(minTimeMs: oldestMs, maxTimeMs: nowMs)
        defer { querier.close() }
        let hints = SelectHints(startMs: oldestMs, endMs: nowMs)
        var samples: [(labels: LabelSet, timestampMs: Int64, value: Double)] = []
        var columns = SampleColumns()
        for matchers in sets {
            let series = try querier.select(matchers, hints: hints, sorted: false)
            for index in 0..<series.count {
                columns.removeAll()
                try series.decode(index, minTimeMs: oldestMs, maxTimeMs: nowMs, into: &columns)
                let last = columns.count - 1
                // The text format has no native histograms.
                guard last >= 0, columns.kind(at: last) == .float, !StaleNaN.isStale(columns.value(at: last)) else { continue }
                samples.append((series.labels(at: index), columns.timestampMs(at: last), columns.value(at: last)))
            }
        }
        // By metric name first, so that a family is together; then as series sort.
        let named = samples.map { (name: $0.labels[LabelSet.metricName] ?? ByteString(), sample: $0) }
            .sorted { $0.name != $1.name ? $0.name < $1.name : $0.sample.labels < $1.sample.labels }
        let external = components.configuration.snapshot.configuration.global.externalLabels.labels

        var page: [UInt8] = []
        page.reserveCapacity(named.count * 96)
        var (family, previous): (ByteString?, LabelSet?) = (nil, nil)
        for (name, sample) in named where !name.isEmpty && sample.labels != previous {
            previous = sample.labels
            let shownName = escapedName(name)
            if family != name {
                family = name
                page.appendTypeLine(name: ByteString(shownName), type: .unknown)
            }
            page.append(contentsOf: shownName)
            page.appendFederatedLabels(of: sample.labels, external: external)
            page.append(UInt8(ascii: " "))
            page.appendDouble(sample.value, style: .general)
            page.append(UInt8(ascii: " "))
            page.appendDecimal(sample.timestampMs)
            page.append(UInt8(ascii: "\n"))
        }
        return page
    }
}

extension Array where Element == UInt8 {
    /// `{a="1",…}`: the series' own labels, then those of this server that it lacks.
    fileprivate mutating func appendFederatedLabels(of labels: LabelSet, external: [Label]) {
        var shown = labels.labels.filter { $0.name != LabelSet.metricName }
        // Without an instance the scraping server would put its own name for us there.
        if labels["instance"] == nil { shown.append(Label("instance", "")) }
        shown += external.filter { labels[$0.name] == nil }
        append(UInt8(ascii: "{"))
        for (index, label) in shown.enumerated() {
            if index > 0 { append(UInt8(ascii: ",")) }
            append(contentsOf: escapedName(label.name))
            append(UInt8(ascii: "="))
            appendQuotedLabelValue(label.value)
        }
        append(UInt8(ascii: "}"))
    }
}

/// The name with `_` for every character that the classic rules forbid: what `escaping=underscores` promises.
private func escapedName(_ name: ByteString) -> [UInt8] {
    var result: [UInt8] = []
    for (index, byte) in name.bytes.enumerated() {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), UInt8(ascii: ":"):
            result.append(byte)
        case UInt8(ascii: "0")...UInt8(ascii: "9") where index > 0: result.append(byte)
        // One underscore a character: the bytes that continue one add none.
        case 0x80..<0xC0: break
        default: result.append(UInt8(ascii: "_"))
        }
    }
    return result
}
