import ApusModel
import Testing

@testable import ApusPromQL

@Suite("Counter resets of native histograms") struct HistogramResetTests {
    private func histogram(_ literal: String) throws -> FloatHistogram {
        var position = 0
        return try #require(HistogramLiteral(Array(literal.utf8)[...], &position)).histogram
    }

    @Test(
        "Found in counts and in layouts",
        arguments: [
            ("{{count:3 buckets:[1 2]}}", "{{count:3 buckets:[1 2]}}", false),
            ("{{count:3 buckets:[1 2]}}", "{{count:2 buckets:[1 1]}}", true),
            // One bucket fell, though the count rose.
            ("{{count:3 buckets:[1 2]}}", "{{count:9 buckets:[0 9]}}", true),
            // A bucket is gone; if it was empty, nobody minds.
            ("{{count:3 buckets:[1 2]}}", "{{count:9 buckets:[9]}}", true),
            ("{{count:1 buckets:[1 0]}}", "{{count:9 buckets:[9]}}", false),
            ("{{count:1 buckets:[1]}}", "{{count:9 offset:1 buckets:[9]}}", true),
            ("{{count:1 offset:1 buckets:[1]}}", "{{count:9 buckets:[4 5]}}", false),
            ("{{count:1 n_buckets:[1]}}", "{{count:9 buckets:[9]}}", true),
            // Finer buckets come with a new process only; coarser ones come with time.
            ("{{schema:0 count:1 offset:1 buckets:[1]}}", "{{schema:1 count:9 offset:1 buckets:[9]}}", true),
            ("{{schema:1 count:3 offset:1 buckets:[1 2]}}", "{{schema:0 count:3 offset:1 buckets:[3]}}", false),
            ("{{schema:1 count:3 offset:1 buckets:[1 2]}}", "{{schema:0 count:4 offset:1 buckets:[2 2]}}", true),
            // Likewise a narrower zero bucket, or a wider one that cuts a bucket in two.
            ("{{count:1 z_bucket:1 z_bucket_w:1}}", "{{count:1 z_bucket:1 z_bucket_w:0.5}}", true),
            ("{{count:1 z_bucket:1 z_bucket_w:0.5}}", "{{count:1 z_bucket:1 z_bucket_w:1}}", false),
            ("{{count:3 z_bucket:1 z_bucket_w:0.5 buckets:[2]}}", "{{count:3 z_bucket:3 z_bucket_w:1}}", false),
            ("{{count:3 z_bucket:1 z_bucket_w:0.5 buckets:[2]}}", "{{count:3 z_bucket:2 z_bucket_w:1}}", true),
            ("{{count:3 z_bucket:1 z_bucket_w:0.5 buckets:[2]}}", "{{count:9 z_bucket:9 z_bucket_w:0.75}}", true),
            ("{{count:2 z_bucket:2}}", "{{count:2 z_bucket:1 buckets:[1]}}", true),
            // Custom bounds: what lies between those that both have.
            ("{{schema:-53 count:3 custom_values:[1 2] buckets:[1 2]}}", "{{schema:-53 count:3 custom_values:[2] buckets:[3]}}", false),
            ("{{schema:-53 count:3 custom_values:[1 2] buckets:[1 2]}}", "{{schema:-53 count:3 custom_values:[2] buckets:[2 1]}}", true),
            ("{{schema:-53 count:3 custom_values:[1] buckets:[3]}}", "{{count:9 buckets:[9]}}", true),
            ("{{count:9 buckets:[9]}}", "{{schema:-53 count:9 custom_values:[1] buckets:[9]}}", true),
            // Hints settle it.
            ("{{count:3 buckets:[1 2]}}", "{{count:3 buckets:[1 2] counter_reset_hint:reset}}", true),
            ("{{count:3 buckets:[1 2]}}", "{{count:1 buckets:[1] counter_reset_hint:not_reset}}", false),
            ("{{count:3 buckets:[1 2]}}", "{{count:1 buckets:[1] counter_reset_hint:gauge}}", true),
        ])
    func detection(_ before: String, _ after: String, _ expected: Bool) throws {
        #expect(try histogram(after).detectsReset(after: histogram(before)) == expected)
    }

    @Test("What only grew was not reset; what shrank was", arguments: 0..<400 as Range<UInt64>) func growth(_ seed: UInt64) throws {
        var random = SplitMix(seed)
        let before = random.chance(4) ? random.customHistogram() : random.histogram(threshold: 0.001)
        var after = before
        _ = try after.add(before.hasCustomBounds ? before.scaled(by: 2) : random.histogram(threshold: 0.001))
        // An addition may lower the resolution, as clients do, too.
        #expect(!after.detectsReset(after: before), "seed \(seed)")
        #expect(!before.detectsReset(after: before))
        if after.count > before.count { #expect(before.detectsReset(after: after), "seed \(seed)") }
        #expect(!after.compacted().detectsReset(after: before), "seed \(seed)")
    }
}
