import Testing

@testable import ApusExposition

@Suite("OpenMetrics, to the letter") struct OpenMetricsCheckerTests {
    static func fault(_ text: String) -> String? {
        let page = Array((text + "# EOF\n").utf8)
        do throws(ExpositionError) {
            _ = try OpenMetricsChecker.check(page.span)
            return nil
        } catch { return error.reason }
    }

    static let good = [
        "", "# TYPE a counter\na_total 1\na_created 5\n", "# TYPE a counter\n# HELP a x\n# UNIT a \na_total 1 # {t=\"x\"} 1 2\n",
        "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 2\na_sum 3\na_count 2\n",
        "# TYPE a gaugehistogram\na_bucket{le=\"-1\"} 1\na_bucket{le=\"+Inf\"} 2\na_gsum -3\na_gcount 2\n",
        "# TYPE a summary\na{quantile=\"0.5\"} 1\na_sum 1\na_count 1\n", "# TYPE a stateset\na{a=\"on\"} 1\na{a=\"off\"} 0\n",
        "# TYPE a info\na_info{v=\"1\"} 1\n", "a{b=\"1\"} 1 1\na{b=\"1\"} 2 2\na{b=\"2\"} 1 1\n",
    ]
    @Test("accepts", arguments: good) func accepts(_ page: String) { #expect(Self.fault(page) == nil) }

    static let bad: [(page: String, fault: String)] = [
        ("# TYPE a gauge\n# TYPE a gauge\n", "second TYPE"), ("# HELP a x\n# HELP a x\n", "second HELP"),
        ("# TYPE a gauge\na 1\n# HELP a x\n", "behind its samples"), ("# TYPE a counter\n# TYPE b gauge\n# TYPE a_total gauge\n", "two metric families"),
        ("# TYPE a_u info\n# UNIT a_u u\n", "must not have a unit"), ("# TYPE a counter\na_total -1\n", "must not be negative"),
        ("# TYPE a counter\na_total NaN\n", "must not be NaN"), ("# TYPE a stateset\na 1\n", "without its label"),
        ("# TYPE a stateset\na{a=\"x\"} 2\n", "0 or 1"), ("# TYPE a info\na_info 2\n", "info metric is 1"),
        ("# TYPE a summary\na{quantile=\"2\"} 0\n", "between 0 and 1"), ("# TYPE a histogram\na_bucket 1\n", "label le"),
        ("# TYPE a histogram\na_bucket{le=\"1\"} 1\n", "without a bucket +Inf"),
        ("# TYPE a histogram\na_bucket{le=\"2\"} 0\na_bucket{le=\"1\"} 0\n", "out of order"),
        ("# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\n", "must not go down"),
        ("# TYPE a histogram\na_bucket{le=\"+Inf\"} 0.5\n", "whole number"), ("# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\n", "needs a count"),
        ("# TYPE a gauge\na 1 # {b=\"c\"} 1\n", "may have exemplars"), ("# TYPE a gauge\na 1 2\na 1 1\n", "go backwards"),
        ("# TYPE a gauge\na 1 2\na 1\n", "with and without"), ("a{b=\"1\"} 1\na{b=\"2\"} 1\na{b=\"1\"} 1\n", "stand together"),
        ("a{b=\"1\",} 1\n", "comma"), ("a{b=\"1\",b=\"2\"} 1\n", "twice"),
        ("# TYPE a counter\na_total 1 # {b=\"\(String(repeating: "x", count: 128))\"} 1\n", "129 characters"),
    ]
    @Test("refuses, and says why", arguments: 0..<bad.count) func refuses(_ index: Int) {
        let (page, reason) = Self.bad[index]
        #expect(Self.fault(page)?.contains(reason) == true, "\(page): \(Self.fault(page) ?? "accepted")")
    }
}
