import Testing

/// Records that servers of version 2.42 and 3.5 wrote into logs and checkpoints, and what they hold. Records of many
/// samples are cut to their first two.
struct RecordVector: Sendable, CustomTestStringConvertible {
    let name: String
    /// The record, decompressed, in hex; white space does not count.
    let record: String
    /// The fragment that held it; empty where the record is cut.
    let framed: String
    /// A line an entry, as `RecordVectorTests` writes them.
    let entries: [String]
    var testDescription: String { name }
}

func bytes(hex: String) -> [UInt8] {
    let digits = hex.utf8.compactMap { UInt8(String(UnicodeScalar($0)), radix: 16) }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

let recordVectors: [RecordVector] = [
    RecordVector(
        name: "chunk_snapshot wal snappy custom_buckets_float_histogram_samples",
        record: """
            0a00000000000000250000018cc25687e0000000690000000000000000000000
            00000000004071800000000000403e0000000000000100070007402400000000
            00004034000000000000403e0000000000004044000000000000404900000000
            0000404e000000000000405180000000000000063f747ae147ae147b3f847ae1
            47ae147b3f9999999999999a3fb999999999999a3ff000000000000040240000
            0000000000b0ea01006900000000000000000000000000000000407240000000
            0000403f80000000000001000700074024000000000000403500000000000040
            3f0000000000004045000000000000404a000000000000404f80000000000040
            5240000000000000063f747ae147ae147b3f847ae147ae147b3f999999999999
            9a3fb999999999999a3ff00000000000004024000000000000
            """,
        framed: "",
        entries: [
            "37 1704067500000 unknown -53 0.0 0.0 280.0 30.0 [0:7] [] [10.0 20.0 30.0 40.0 50.0 60.0 70.0] [] [0.005 0.01 0.025 0.1 1.0 10.0]",
            "37 1704067515000 unknown -53 0.0 0.0 292.0 31.5 [0:7] [] [10.0 21.0 31.0 42.0 52.0 63.0 73.0] [] [0.005 0.01 0.025 0.1 1.0 10.0]",
        ]),
    RecordVector(
        name: "chunk_snapshot wal snappy custom_buckets_histogram_samples",
        record: """
            0900000000000000210000018cc25687e0000000690000000000000000009802
            403e00000000000001000700071414141414141400063f747ae147ae147b3f84
            7ae147ae147b3f9999999999999a3fb999999999999a3ff00000000000004024
            00000000000000b0ea010069000000000000000000a402403f80000000000001
            000700071416141614161400063f747ae147ae147b3f847ae147ae147b3f9999
            999999999a3fb999999999999a3ff00000000000004024000000000000
            """,
        framed: "",
        entries: [
            "33 1704067500000 unknown -53 0.0 0 280 30.0 [0:7] [] [10 10 10 10 10 10 10] [] [0.005 0.01 0.025 0.1 1.0 10.0]",
            "33 1704067515000 unknown -53 0.0 0 292 31.5 [0:7] [] [10 11 10 11 10 11 10] [] [0.005 0.01 0.025 0.1 1.0 10.0]",
        ]),
    RecordVector(
        name: "exemplars wal snappy exemplars",
        record: """
            0400000000000000030000018cc2538e2300004058e0000000000000
            """,
        framed: """
            09001b896d815c1c04040009014c030000018cc2538e2300004058e000000000
            0000
            """,
        entries: [
            "3 1704067304995 99.5 {}",
        ]),
    RecordVector(
        name: "exemplars wal snappy exemplars 2",
        record: """
            0400000000000000010000018cc26024d0000040140000000000000108747261
            63655f696402763202004014000000000000010874726163655f6964027632
            """,
        framed: """
            090027c849d55d3f040400090130010000018cc26024d0000040140d13300874
            726163655f696402763202561700
            """,
        entries: [
            "1 1704068130000 5.0 {trace_id=v2}",
            "2 1704068130000 5.0 {trace_id=v2}",
        ]),
    RecordVector(
        name: "old_2_42 wal snappy float_histogram_samples",
        record: """
            0800000000000000080000018cc2b6a940000000023f50624dd2f1a9fc406b80
            0000000000407b880000000000405b8000000000000100010001406b90000000
            00000000e0d40300023f50624dd2f1a9fc406ba00000000000407ba800000000
            00405ba000000000000100010001406bb0000000000000
            """,
        framed: "",
        entries: [
            "8 1704073800000 unknown 1 0.001 220.0 440.5 110.0 [0:1] [] [220.5] [] []",
            "8 1704073830000 unknown 1 0.001 221.0 442.5 110.5 [0:1] [] [221.5] [] []",
        ]),
    RecordVector(
        name: "exemplars wal snappy histogram_samples",
        record: """
            0700000000000000040000018cc251f40000000000000000000000000000003f
            f000000000000001000100010000
            """,
        framed: """
            090023967a87fa2e04070009011c040000018cc251f4090e1501383ff0000000
            00000001000100010000
            """,
        entries: [
            "4 1704067200000 unknown 0 0.0 0 0 1.0 [0:1] [] [0] [] []",
        ]),
    RecordVector(
        name: "old_2_42 wal snappy histogram_samples",
        record: """
            0700000000000000070000018cc2b6a9400000000237f0000000000000dc01cc
            06405b8000000000000303010201080101020103b80302dd0101920100e0d403
            000237f0000000000000dd01cf06405ba0000000000003030102010801010201
            03ba0302df01019201
            """,
        framed: "",
        entries: [
            "7 1704073800000 unknown 1 2.938735877055719e-39 220 844 110.0 [-2:1 1:1 4:1] [1:1] [220 1 -111] [73] []",
            "7 1704073830000 unknown 1 2.938735877055719e-39 221 847 110.5 [-2:1 1:1 4:1] [1:1] [221 1 -112] [73] []",
        ]),
    RecordVector(
        name: "ooo_killed wbl snappy histogram_samples",
        record: """
            0700000000000000080000018cc251f400000000000000000000000000007a3f
            f00000000000000100020002f001eb0100
            """,
        framed: """
            090024a7382ecd3104070009011c080000018cc251f4090e1101087a3ff0090b
            240100020002f001eb0100
            """,
        entries: [
            "8 1704067200000 unknown 0 0.0 0 122 1.0 [0:2] [] [120 -118] [] []",
        ]),
    RecordVector(
        name: "exemplars wal none metadata",
        record: """
            0601010204554e4954000448454c5010526571756573747320736f206661722e
            02030204554e4954077365636f6e64730448454c50194c6174656e63792022c3
            a9220a6f662072657175657374732e
            """,
        framed: """
            01004fa4ae35620601010204554e4954000448454c5010526571756573747320
            736f206661722e02030204554e4954077365636f6e64730448454c50194c6174
            656e63792022c3a9220a6f662072657175657374732e
            """,
        entries: [
            "1 1 unit= help=Requests so far.",
            "2 3 unit=seconds help=Latency \"é\"\nof requests.",
        ]),
    RecordVector(
        name: "ooo_blocks wbl none mmap_markers",
        record: """
            0500000000000000010000000000000000
            """,
        framed: """
            0100110b48ae730500000000000000010000000000000000
            """,
        entries: [
            "1 0",
        ]),
    RecordVector(
        name: "wal_mixed wal none samples",
        record: """
            0200000000000000010000018cc251f4000000404200000000000000b0ea0140
            49800000000000
            """,
        framed: "",
        entries: [
            "1 1704067200000 36.0",
            "1 1704067215000 51.0",
        ]),
    RecordVector(
        name: "chunk_snapshot wal snappy samples",
        record: """
            02000000000000002d0000018cc288e28000003ff0000000000000
            """,
        framed: """
            09001a43de19861b0402000901482d0000018cc288e28000003ff00000000000
            00
            """,
        entries: [
            "45 1704070800000 1.0",
        ]),
    RecordVector(
        name: "churn_one_wal wal snappy samples",
        record: """
            0200000000000000010000018cc251f400000000000000000000000200000000
            0000000000
            """,
        framed: """
            090021793cc47e2504020009011c010000018cc251f4090e3800000000000200
            0000000000000000
            """,
        entries: [
            "1 1704067200000 0.0",
            "2 1704067200000 0.0",
        ]),
    RecordVector(
        name: "ooo_blocks wbl snappy samples",
        record: """
            0200000000000000010000018cc292353b00003fe0000000000000
            """,
        framed: """
            09001a59eb021c1b040200090148010000018cc292353b00003fe00000000000
            00
            """,
        entries: [
            "1 1704071411003 0.5",
        ]),
    RecordVector(
        name: "ooo_killed wbl snappy samples",
        record: """
            0200000000000000020000018cc29c37b8000040922800000000000080f25740
            92880000000000
            """,
        framed: """
            0900242a68978827040200090138020000018cc29c37b8000040922800050128
            80f2574092880000000000
            """,
        entries: [
            "2 1704072067000 1162.0",
            "2 1704072787000 1186.0",
        ]),
    RecordVector(
        name: "wal_mixed wal none series",
        record: """
            01000000000000000103085f5f6e616d655f5f106d5f72657175657374735f74
            6f74616c08696e7374616e63650b686f73742d303a39313030036a6f62046a6f
            6230000000000000000203085f5f6e616d655f5f0d6d5f74656d706572617475
            726508696e7374616e63650b686f73742d313a39313030036a6f62046a6f6231
            000000000000000303085f5f6e616d655f5f046d5f757008696e7374616e6365
            0b686f73742d323a39313030036a6f62046a6f6230000000000000000403085f
            5f6e616d655f5f086d5f72616e646f6d08696e7374616e63650b686f73742d33
            3a39313030036a6f62046a6f6231000000000000000503085f5f6e616d655f5f
            076d5f627974657308696e7374616e63650b686f73742d343a39313030036a6f
            62046a6f6230
            """,
        framed: """
            010126103e727101000000000000000103085f5f6e616d655f5f106d5f726571
            75657374735f746f74616c08696e7374616e63650b686f73742d303a39313030
            036a6f62046a6f6230000000000000000203085f5f6e616d655f5f0d6d5f7465
            6d706572617475726508696e7374616e63650b686f73742d313a39313030036a
            6f62046a6f6231000000000000000303085f5f6e616d655f5f046d5f75700869
            6e7374616e63650b686f73742d323a39313030036a6f62046a6f623000000000
            0000000403085f5f6e616d655f5f086d5f72616e646f6d08696e7374616e6365
            0b686f73742d333a39313030036a6f62046a6f6231000000000000000503085f
            5f6e616d655f5f076d5f627974657308696e7374616e63650b686f73742d343a
            39313030036a6f62046a6f6230
            """,
        entries: [
            "1 {__name__=m_requests_total,instance=host-0:9100,job=job0}",
            "2 {__name__=m_temperature,instance=host-1:9100,job=job1}",
            "3 {__name__=m_up,instance=host-2:9100,job=job0}",
            "4 {__name__=m_random,instance=host-3:9100,job=job1}",
            "5 {__name__=m_bytes,instance=host-4:9100,job=job0}",
        ]),
    RecordVector(
        name: "churn checkpoint snappy series",
        record: """
            01000000000000000102085f5f6e616d655f5f06737461626c65016e0130
            """,
        framed: """
            09001dbd8334661e0401000901540102085f5f6e616d655f5f06737461626c65
            016e0130
            """,
        entries: [
            "1 {__name__=stable,n=0}",
        ]),
    RecordVector(
        name: "churn checkpoint snappy series 2",
        record: """
            01000000000000003803085f5f6e616d655f5f0367656e0167023133016e0130
            000000000000003903085f5f6e616d655f5f0367656e0167023133016e013100
            0000000000003a03085f5f6e616d655f5f0367656e0167023133016e01320000
            00000000003b03085f5f6e616d655f5f0367656e0167023133016e0133
            """,
        framed: """
            09003c2e3e7e0c7d04010009015c3803085f5f6e616d655f5f0367656e016702
            3133016e0130091e08003903521f0000310d1f003a561f0000320d1f003b561f
            000033
            """,
        entries: [
            "56 {__name__=gen,g=13,n=0}",
            "57 {__name__=gen,g=13,n=1}",
            "58 {__name__=gen,g=13,n=2}",
            "59 {__name__=gen,g=13,n=3}",
        ]),
    RecordVector(
        name: "chunk_snapshot wal snappy series",
        record: """
            01000000000000002d01085f5f6e616d655f5f026578
            """,
        framed: """
            090015839c6595160401000901342d01085f5f6e616d655f5f026578
            """,
        entries: [
            "45 {__name__=ex}",
        ]),
    RecordVector(
        name: "churn_one_wal wal snappy series",
        record: """
            01000000000000000101085f5f6e616d655f5f06737461626c65000000000000
            000201085f5f6e616d655f5f0772657475726e73
            """,
        framed: """
            09002967c64415340401000901440101085f5f6e616d655f5f06737461626c65
            091804000219191c0772657475726e73
            """,
        entries: [
            "1 {__name__=stable}",
            "2 {__name__=returns}",
        ]),
    RecordVector(
        name: "wal_zstd wal zstd series",
        record: """
            01000000000000000103085f5f6e616d655f5f106d5f72657175657374735f74
            6f74616c08696e7374616e63650b686f73742d303a39313030036a6f62046a6f
            6230000000000000000203085f5f6e616d655f5f0d6d5f74656d706572617475
            726508696e7374616e63650b686f73742d313a39313030036a6f62046a6f6231
            000000000000000303085f5f6e616d655f5f046d5f757008696e7374616e6365
            0b686f73742d323a39313030036a6f62046a6f6230000000000000000403085f
            5f6e616d655f5f086d5f72616e646f6d08696e7374616e63650b686f73742d33
            3a39313030036a6f62046a6f6231000000000000000503085f5f6e616d655f5f
            076d5f627974657308696e7374616e63650b686f73742d343a39313030036a6f
            62046a6f6230000000000000000603085f5f6e616d655f5f106d5f7265717565
            7374735f746f74616c08696e7374616e63650b686f73742d353a39313030036a
            6f62046a6f6231000000000000000703085f5f6e616d655f5f0d6d5f74656d70
            6572617475726508696e7374616e63650b686f73742d363a39313030036a6f62
            046a6f6230000000000000000803085f5f6e616d655f5f046d5f757008696e73
            74616e63650b686f73742d373a39313030036a6f62046a6f6231000000000000
            000903085f5f6e616d655f5f086d5f72616e646f6d08696e7374616e63650b68
            6f73742d383a39313030036a6f62046a6f6230000000000000000a03085f5f6e
            616d655f5f076d5f627974657308696e7374616e63650b686f73742d393a3931
            3030036a6f62046a6f6231
            """,
        framed: """
            1100bc1ab85a5628b52ffd44004b016d0500c2471b1d506f1b40246cd80edeb6
            46256466a68335e8d15355353ce2671c289a0dfa10f23150c7ca86a30c412e60
            ff85ad3b0155b893347eeb4b65228aeb2aa9f68bcfaf23ef5f370098640e52cc
            4129531f48221eba49a1238d1f36caaaf0bb5ff8b0a3a5dffa61b79ddbee4a0d
            d30421209003121d00878cebb243dcc9d821c5b9ec10cab90c1e8202033c2ed3
            2176679b6512c7e5fdf6cdd80f81bbda2c9338ae205d11bbb10e6940868f056e
            a0e77d
            """,
        entries: [
            "1 {__name__=m_requests_total,instance=host-0:9100,job=job0}",
            "2 {__name__=m_temperature,instance=host-1:9100,job=job1}",
            "3 {__name__=m_up,instance=host-2:9100,job=job0}",
            "4 {__name__=m_random,instance=host-3:9100,job=job1}",
            "5 {__name__=m_bytes,instance=host-4:9100,job=job0}",
            "6 {__name__=m_requests_total,instance=host-5:9100,job=job1}",
            "7 {__name__=m_temperature,instance=host-6:9100,job=job0}",
            "8 {__name__=m_up,instance=host-7:9100,job=job1}",
            "9 {__name__=m_random,instance=host-8:9100,job=job0}",
            "10 {__name__=m_bytes,instance=host-9:9100,job=job1}",
        ]),
    RecordVector(
        name: "deletes wal snappy tombstones",
        record: """
            03000000000000000380a990a99863c0f8b4a99863
            """,
        framed: """
            090014ec027def150403000901300380a990a99863c0f8b4a99863
            """,
        entries: [
            "3 1704071400000 1704071700000",
        ]),
    RecordVector(
        name: "chunk_snapshot wal snappy tombstones",
        record: """
            030000000000000003c0f996a5986380a39ea598630000000000000008c0f996
            a5986380a39ea59863
            """,
        framed: """
            0900257fb03b802904030009013003c0f996a5986380a39ea598630913340008
            c0f996a5986380a39ea59863
            """,
        entries: [
            "3 1704067260000 1704067320000",
            "8 1704067260000 1704067320000",
        ]),
]
