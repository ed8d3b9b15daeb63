import ApusBytes
import ApusModel

extension Evaluator {
    /// Evaluates a function that yields an instant vector.
    func call(_ id: NodeID, _ call: Call, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let name = call.function.name
        if let function = SampleFunctions.table[name] {
            return try unnamed(call.arguments[0], steps, sink) { (row) throws(QueryError) in row.map { function($0) } }
        }
        if let function = SampleFunctions.calendar[name] {
            return try calendar(call, function, steps, sink)
        }
        if let kernel = try windowKernel(call, steps) {
            return try windows(call, kernel, steps, sink)
        }
        switch name {
        case .absent: try absent(call.arguments[0], steps, sink)
        case .absentOverTime: try absentOverTime(call.arguments[0], steps, sink)
        case .clamp, .clampMin, .clampMax: try clamp(call, steps, sink)
        case .round:
            let unit = call.arguments.count > 1 ? try scalar(call.arguments[1], steps) : .constant(1)
            try unnamed(call.arguments[0], steps, sink) { (row) throws(QueryError) in
                for step in 0..<row.count where !row[step].isAbsent {
                    row[step] = SampleFunctions.round(row[step], to: unit[step])
                }
            }
        case .timestamp: try timestamp(call.arguments[0], steps, sink)
        case .startTimestamp: try startTimestamp(call.arguments[0], steps, sink)
        case .vector:
            let value = try scalar(call.arguments[0], steps)
            let row = RowArena(width: steps.count).makeRow()
            for step in 0..<row.count { row[step] = value[step] }
            try sink(RowLabels(labels: .empty), row)
        case .sort, .sortDesc, .sortByLabel, .sortByLabelDesc: try sort(id, call, steps, sink)
        case .labelReplace: try labelReplace(call, steps, sink)
        case .info: try info(id, call, steps, sink)
        case .labelJoin: try labelJoin(call, steps, sink)
        case .histogramQuantile: try histogramQuantile(call, steps, sink)
        case .histogramQuantiles: try histogramQuantiles(call, steps, sink)
        case .histogramFraction: try histogramFraction(call, steps, sink)
        case .histogramAvg, .histogramCount, .histogramSum, .histogramStddev, .histogramStdvar:
            try histogramNumber(call, steps, sink)
        default: throw .execution("function \(name.rawValue) is not supported")
        }
    }

    // MARK: Range functions

    /// The kernel of a range function; `nil` when `call` is none.
    private func windowKernel(_ call: Call, _ steps: Steps) throws(QueryError) -> (any WindowKernel)? {
        if let make = WindowFunctions.table[call.function.name] { return make() }
        switch call.function.name {
        case .predictLinear: return RegressionKernel(aheadSeconds: try scalar(call.arguments[1], steps))
        case .quantileOverTime:
            let phi = try scalar(call.arguments[0], steps)
            return QuantileKernel(phi: phi)
        case .doubleExponentialSmoothing:
            let smoothing = try scalar(call.arguments[1], steps)
            let trend = try scalar(call.arguments[2], steps)
            if let bad = smoothing.first(where: { !($0 > 0 && $0 < 1) }) {
                throw .execution("invalid smoothing factor. Expected: 0 < sf < 1, got: \(sixDecimals(bad))")
            }
            if let bad = trend.first(where: { !($0 > 0 && $0 < 1) }) {
                throw .execution("invalid trend factor. Expected: 0 < tf < 1, got: \(sixDecimals(bad))")
            }
            return SmoothingKernel(smoothing: smoothing, trend: trend)
        default: return nil
        }
    }

    private func windows(_ call: Call, _ kernel: any WindowKernel, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let name = call.function.name
        guard let range = call.arguments.first(where: { expression[$0].type == .rangeVector }) else { return }
        let keepsName = name == .lastOverTime || name == .firstOverTime
        let isCounterFunction = name == .rate || name == .increase
        let needsCheck = !keepsName && !delaysNameRemoval && !plan.isDistinctWithoutName[range.index]
        if name == .quantileOverTime { try warnQuantile(call.arguments[0], steps) }
        var kernel = try extendedKernel(name, over: range) ?? kernel
        let startKernel = options.useStartTimestamps && extent(ofRange: range) == .plain ? StartAwareKernel(name) : nil
        var seen: Set<LabelSet> = []
        let row = RowArena(width: steps.count).makeRow()
        func finish(_ labels: RowLabels, _ row: Row) throws(QueryError) {
            if isCounterFunction, row.hasFloat { informIfNoCounter(labels.labels, range) }
            let result = keepsName ? labels : dropName(labels)
            if needsCheck, !seen.insert(result.labels).inserted { throw .duplicateLabels }
            try sink(result, row)
        }
        func each(_ series: RangeSeries) throws(QueryError) {
            if series.mixed != nil {
                try mixedWindows(series, name, range: range, &kernel, into: row)
            } else {
                row.forgetHistograms()
                let touched: Int
                if let startKernel, !series.starts.isEmpty {
                    touched = try fillByStarts(startKernel, row, series, range)
                } else {
                    touched = try kernel.fill(
                        row, from: series.samples, at: series.references, rangeMs: series.rangeMs, poll: bounds)
                }
                bounds.touch(touched)
            }
            try bounds.work(row.count)
            if !row.isEmpty { try finish(series.name, row) }
        }
        guard startKernel == nil, tracer == nil, let (set, ahead) = try windowsAhead(range, kernel, steps, function: name.rawValue) else {
            return try forEachRangeSeries(range, steps, function: name.rawValue, each)
        }
        guard let ahead else {
            let all = SelectedSeries(set: set, indices: 0..<set.count)
            return try evaluateRange(range, steps, function: name.rawValue, among: all, each)
        }
        try ahead.forEach { (index, outcome, row) throws(QueryError) in
            if outcome.kind == .unusual {
                let one = SelectedSeries(set: set, indices: index..<index + 1)
                return try evaluateRange(range, steps, function: name.rawValue, among: one, each)
            }
            try take(outcome, row, finish)
        }
    }

    private func informIfNoCounter(_ labels: LabelSet, _ range: NodeID) {
        // One metric mostly has many series.
        let nameName = LabelNames.name
        guard let place = labels.valueRange(of: nameName.bytes.span), !place.isEmpty else { return }
        let bytes = labels.encoded[place]
        if !options.enableTypeAndUnitLabels, bytes.elementsEqual(knownCounter.bytes) { return }
        let name = ByteString(bytes)
        if options.enableTypeAndUnitLabels {
            let type = labels[LabelNames.type] ?? ByteString()
            if type != "counter", type != "histogram" {
                annotations.informPossiblyNoCounter(name, type: type, at: expression[range].range)
            }
            return
        }
        let suffixes: [ByteString] = ["_total", "_sum", "_count", "_bucket"]
        if suffixes.contains(where: { name.hasSuffix($0) }) {
            knownCounter = name
            return
        }
        annotations.informPossiblyNoCounter(name, at: expression[range].range)
    }

    func warnQuantile(_ argument: NodeID, _ steps: Steps) throws(QueryError) {
        let phi = try scalar(argument, steps)
        if let bad = phi.first(where: { $0.isNaN || $0 < 0 || $0 > 1 }) {
            annotations.warnInvalidQuantile(bad, at: expression[argument].range)
        }
    }

    // MARK: Absence

    private func absent(_ operand: NodeID, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let row = RowArena(width: steps.count).makeRow()
        row.fill(1)
        try vector(operand, steps) { (_, present) throws(QueryError) in
            for step in 0..<row.count where !present[step].isAbsent { row[step] = Absent.value }
        }
        try sink(RowLabels(labels: labelsWhenAbsent(operand)), row)
    }

    private func absentOverTime(_ operand: NodeID, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let row = RowArena(width: steps.count).makeRow()
        row.fill(1)
        let present = RowArena(width: steps.count).makeRow()
        _ = try extendedKernel(.absentOverTime, over: operand)
        var kernel = PresenceKernel()
        try forEachRangeSeries(operand, steps, function: "absent_over_time") { (series) throws(QueryError) in
            let touched = try kernel.fill(
                present, from: series.samples, at: series.references, rangeMs: series.rangeMs, poll: bounds)
            bounds.touch(touched)
            for step in 0..<row.count where !present[step].isAbsent { row[step] = Absent.value }
        }
        try sink(RowLabels(labels: labelsWhenAbsent(operand)), row)
    }

    /// What a selector's matchers say for sure of the series that is not there.
    private func labelsWhenAbsent(_ operand: NodeID) -> LabelSet {
        var id = expression.unwrapped(operand)
        if case .matrixSelector(let matrix) = expression[id].kind { id = matrix.selector }
        guard case .vectorSelector(let selector) = expression[id].kind else { return .empty }
        var known: [ByteString: ByteString] = [:]
        var seen: Set<ByteString> = []
        for matcher in selector.matchers where matcher.name != LabelNames.name {
            // A label that is matched twice, or not by equality, may have had any value.
            if matcher.kind == .equal, seen.insert(matcher.name).inserted {
                known[matcher.name] = matcher.value
            } else {
                known[matcher.name] = nil
            }
        }
        return LabelSet(known.map { Label($0.key, $0.value) })
    }

    // MARK: Functions of samples with more arguments

    private func clamp(_ call: Call, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let first = try scalar(call.arguments[1], steps)
        let second = call.arguments.count > 2 ? try scalar(call.arguments[2], steps) : first
        let name = call.function.name
        try unnamed(call.arguments[0], steps, sink) { (row) throws(QueryError) in
            for step in 0..<row.count where !row[step].isAbsent {
                let value = row[step]
                switch name {
                case .clampMin: row[step] = SampleFunctions.greater(first[step], value)
                case .clampMax: row[step] = SampleFunctions.lesser(first[step], value)
                default:
                    row[step] =
                        second[step] < first[step]
                        ? Absent.value : SampleFunctions.greater(first[step], SampleFunctions.lesser(second[step], value))
                }
            }
        }
    }

    private func calendar(
        _ call: Call, _ function: (CalendarTime) -> Int64, _ steps: Steps, _ sink: RowSink
    ) throws(QueryError) {
        guard let operand = call.arguments.first else {
            let row = RowArena(width: steps.count).makeRow()
            for step in 0..<row.count {
                row[step] = Double(function(CalendarTime(unixSeconds: Double(steps.timestampMs(step)) / 1_000)))
            }
            return try sink(RowLabels(labels: .empty), row)
        }
        try unnamed(operand, steps, sink) { (row) throws(QueryError) in
            row.map { Double(function(CalendarTime(unixSeconds: $0))) }
        }
    }

    /// The time of each sample; of anything but a selector the time of the step.
    private func timestamp(_ operand: NodeID, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let inner = expression.unwrapped(operand)
        if case .vectorSelector(let selector) = expression[inner].kind {
            let merged = mergedRows(unless: plan.isDistinctWithoutName[inner.index], steps)
            try instantSelector(inner, selector, steps, wants: .timestamp) { (name, row) throws(QueryError) in
                try pass(dropName(name), row, merged, sink)
            }
            try merged?.table.forEach(sink)
            return
        }
        try unnamed(operand, steps, keepsHistograms: true, sink) { (row) throws(QueryError) in
            // A histogram has a time as well; a number takes its place.
            for step in 0..<row.count where !row[step].isAbsent { row[step] = Double(steps.timestampMs(step)) / 1_000 }
        }
    }

    // MARK: Order

    private func sort(_ id: NodeID, _ call: Call, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let sortsFloats = call.function.name == .sort || call.function.name == .sortDesc
        if plan.steps.count > 1 { annotations.warnIneffectiveSort(at: expression[id].range) }
        // An inner query of several steps has no one order either.
        if plan.steps.count > 1 || steps.count != 1 {
            return try vector(call.arguments[0], steps) { (name, row) throws(QueryError) in
                if sortsFloats, row.mayHoldHistograms { row.dropHistograms() }
                try sink(name, row)
            }
        }
        let table = RowTable(steps: steps, bounds: bounds)
        try vector(call.arguments[0], steps) { (name, row) throws(QueryError) in
            if sortsFloats, row.mayHoldHistograms { row.dropHistograms() }
            if !row.isEmpty { try table.append(name, copying: row) }
        }
        var order = Array(table.entries.indices)
        switch call.function.name {
        case .sort: order.stableSort { sortsBefore(table.entries[$0].row[0], table.entries[$1].row[0], descending: false) }
        case .sortDesc: order.stableSort { sortsBefore(table.entries[$0].row[0], table.entries[$1].row[0], descending: true) }
        default:
            var names: [ByteString] = []
            for argument in call.arguments.dropFirst() { names.append(try text(argument)) }
            let descending = call.function.name == .sortByLabelDesc
            let keys = table.entries.map { entry in names.map { entry.name.labels[$0] ?? "" } }
            order.stableSort { left, right in
                for index in names.indices where keys[left][index] != keys[right][index] {
                    return naturalOrder(keys[left][index], keys[right][index]) != descending
                }
                let byLabels = table.entries[left].name.labels.compare(to: table.entries[right].name.labels)
                return descending ? byLabels > 0 : byLabels < 0
            }
        }
        for index in order { try sink(table.entries[index].name, table.entries[index].row) }
    }
}

/// NaN comes last, whichever the direction.
func sortsBefore(_ a: Double, _ b: Double, descending: Bool) -> Bool {
    if a.isNaN || b.isNaN { return !a.isNaN }
    return descending ? a > b : a < b
}

extension Array where Element == Int {
    /// Sorts indices; equal ones keep their order.
    mutating func stableSort(_ isBefore: (Int, Int) -> Bool) {
        self = enumerated().sorted {
            if isBefore($0.element, $1.element) { return true }
            if isBefore($1.element, $0.element) { return false }
            return $0.offset < $1.offset
        }.map(\.element)
    }
}

/// Whether `left` comes before `right` when runs of digits count as numbers: `a2` before `a10`.
func naturalOrder(_ left: ByteString, _ right: ByteString) -> Bool {
    let (a, b) = (runs(left), runs(right))
    for (x, y) in zip(a, b) {
        let bothNumbers = isDigit(x.first) && isDigit(y.first)
        if bothNumbers {
            let (m, n) = (x.drop { $0 == UInt8(ascii: "0") }, y.drop { $0 == UInt8(ascii: "0") })
            if m.count != n.count { return m.count < n.count }
            if !m.elementsEqual(n) { return m.lexicographicallyPrecedes(n) }
            if x.count != y.count { return x.count < y.count }
        } else if !x.elementsEqual(y) {
            return x.lexicographicallyPrecedes(y)
        }
    }
    return a.count < b.count
}

/// Cuts a text where digits begin or end.
private func runs(_ text: ByteString) -> [ArraySlice<UInt8>] {
    var result: [ArraySlice<UInt8>] = []
    var start = 0
    for index in text.bytes.indices.dropFirst() where isDigit(text.bytes[index]) != isDigit(text.bytes[index - 1]) {
        result.append(text.bytes[start..<index])
        start = index
    }
    if start < text.count { result.append(text.bytes[start...]) }
    return result
}

/// As C prints `%f`.
func sixDecimals(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    guard value.magnitude < 1e12, let millionths = Int64(exactly: (value * 1e6).rounded(.toNearestOrEven)) else {
        return NumberText.fixed(value.rounded()) + ".000000"
    }
    let fraction = String(millionths.magnitude % 1_000_000)
    return (value.sign == .minus ? "-" : "") + String(millionths.magnitude / 1_000_000) + "."
        + String(repeating: "0", count: 6 - fraction.count) + fraction
}
