import ApusBytes
import ApusStorage

extension IndexReader {
    /// One matcher that needs a look at the values of its label.
    private struct Test {
        let matcher: Matcher
        /// It matches a series without the label: then the series whose value does *not* match are taken away, since
        /// those without it are on no list.
        let subtracts: Bool
    }

    /// The refs of the series that match all of `matchers`, in order of labels.
    ///
    /// Equalities are answered by their postings, shortest first. Patterns come last: with fewer series left than the
    /// label has values each series is asked, otherwise each value is judged once and the postings are joined.
    public func select(_ matchers: [Matcher]) throws(BlockError) -> [UInt32] {
        var required: [PostingsList] = []
        var removed: [PostingsList] = []
        var tests: [Test] = []
        for matcher in matchers {
            let matchesEmpty = matcher.matchesEmpty
            // No series has a label without a name; the index keeps the list of all series there.
            if matcher.name.isEmpty {
                if matchesEmpty { continue }
                return []
            }
            if matcher.kind == .equal && !matchesEmpty {
                guard let list = try list(matcher.name, matcher.value), list.count > 0 else { return [] }
                required.append(list)
            } else if matcher.kind == .notEqual && matchesEmpty {
                if let list = try list(matcher.name, matcher.value) { removed.append(list) }
            } else if matcher.regex?.matchesEverything == true {
                if matcher.kind == .notRegex { return [] }
            } else {
                tests.append(Test(matcher: matcher, subtracts: matchesEmpty))
            }
        }
        var refs: [UInt32]?
        required.sort { $0.count < $1.count }
        if let first = required.first {
            var candidates = first.refs
            for list in required.dropFirst() { Postings.intersect(&candidates, with: list) }
            for list in removed { Postings.subtract(&candidates, list) }
            refs = candidates
        }
        // Those that select come before those that take away.
        for test in tests where !test.subtracts { refs = try apply(test, to: refs) }
        var result: [UInt32]
        if let refs { result = refs } else { result = try allPostings() }
        if required.isEmpty { for list in removed { Postings.subtract(&result, list) } }
        for test in tests where test.subtracts { result = try apply(test, to: result) }
        return result
    }

    /// What a test leaves of `refs`, nil standing for all series.
    private func apply(_ test: Test, to refs: [UInt32]?) throws(BlockError) -> [UInt32] {
        if let refs, refs.isEmpty { return [] }
        guard let name = table.find(name: test.matcher.name.bytes.span) else {
            // No series has the label.
            if !test.subtracts { return [] }
            if let refs { return refs }
            return try allPostings()
        }
        if let refs, refs.count <= name.valueCount, test.matcher.regex?.literalValues == nil { return try filter(refs, test) }
        let union = Postings.union(try lists(test, name), bound: refBound)
        guard var result = refs else { return union }
        Postings.filter(&result, by: union, keepFound: !test.subtracts)
        return result
    }

    /// The postings that decide a test: those to select, or those to take away.
    private func lists(_ test: Test, _ name: PostingsTable.Name) throws(BlockError) -> [PostingsList] {
        var lists: [PostingsList] = []
        // None of the values is empty when the test is of the usual kind, so those of `=~` are to select and those of
        // `!~` to take away.
        if let literals = test.matcher.regex?.literalValues, test.subtracts == (test.matcher.kind == .notRegex) {
            for literal in literals {
                if let offset = try table.postingsOffset(name, literal.bytes.span) { lists.append(try list(at: offset)) }
            }
            return lists
        }
        var entries = table.entries(of: name)
        while let entry = try entries.next() {
            let value = unsafe file.bytes(entry.value)
            if unsafe test.matcher.matches(value.span) != test.subtracts { lists.append(try list(at: entry.postingsOffset)) }
        }
        return lists
    }

    /// Asks each series for its value; each value is judged once.
    private func filter(_ refs: [UInt32], _ test: Test) throws(BlockError) -> [UInt32] {
        guard let name = symbols.find(test.matcher.name.bytes.span) else { return test.subtracts ? refs : [] }
        var verdicts: [UInt64: Bool] = [:]
        var kept: [UInt32] = []
        kept.reserveCapacity(refs.count)
        for ref in refs {
            let entry = try seriesEntry(ref)
            guard let value = try valueSymbol(of: entry, name: name) else {
                if test.subtracts { kept.append(ref) }
                continue
            }
            let verdict: Bool
            if let known = verdicts[value] {
                verdict = known
            } else {
                guard let content = unsafe symbols.content(value) else {
                    throw .corrupt(path, entry.labels, "read series: unknown symbol offset")
                }
                verdict = unsafe test.matcher.matches(content.span)
                verdicts[value] = verdict
            }
            if verdict { kept.append(ref) }
        }
        return kept
    }

    /// The values that a label has among series, in order: by the lists of its values, each asked whether it has one of the
    /// series. Nil when there are so many values that it takes less to look at the series.
    func values(of name: ByteString, among refs: [UInt32]) throws(BlockError) -> [ByteString]? {
        guard let entry = table.find(name: name.bytes.span) else { return [] }
        guard entry.valueCount <= refs.count / 4 else { return nil }
        var values: [ByteString] = []
        var entries = table.entries(of: entry)
        while let one = try entries.next() {
            if Postings.intersects(refs, try list(at: one.postingsOffset)) { values.append(file.byteString(one.value)) }
        }
        return values
    }
}
