import ApusModel
import Testing

/// Histogram chunks that a Prometheus wrote: every varbit class, all layouts, hints and kinds.
struct HistogramVector: Sendable, CustomTestStringConvertible {
    let name: String
    let isFloat: Bool
    /// Of the chunk's header.
    let hint: CounterResetHint
    let count: Int
    let schema: Int32
    let zeroThreshold: Double
    /// `offset:length, …`
    let positiveSpans: String
    let negativeSpans: String
    let customBounds: [Double]
    /// Bytes of the chunk; white space does not count.
    let hex: String
    /// FNV-1a over what Prometheus reads from the chunk, 8 bytes a word, the lowest first: of each sample time, count, zero
    /// count, sum and buckets; floats by their bits, a stale marker without buckets and with counts of 0.
    let digest: UInt64
    var testDescription: String { name }

    var bytes: [UInt8] {
        let digits = hex.utf8.compactMap { UInt8(String(UnicodeScalar($0)), radix: 16) }
        return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    var layout: HistogramLayout {
        func spans(_ text: String) -> [HistogramSpan] {
            text.split(separator: ",").map { pair in
                let parts = pair.split(whereSeparator: { $0 == ":" || $0 == " " })
                return HistogramSpan(offset: Int32(parts[0]) ?? 0, length: UInt32(parts[1]) ?? 0)
            }
        }
        return HistogramLayout(
            schema: schema, zeroThreshold: zeroThreshold, positiveSpans: spans(positiveSpans), negativeSpans: spans(negativeSpans),
            customBounds: customBounds)
    }
}

let histogramVectors: [HistogramVector] = [
    HistogramVector(
        name: "int_hints_written_no_reset", isFloat: false, hint: .noReset, count: 3, schema: 0, zeroThreshold: 0.0,
        positiveSpans: "0:1", negativeSpans: "", customBounds: [],
        hex: """
            000340004627f0000c66136b5a071e48 0bc000000000001c79f83a988b88388e 0160
            """,
        digest: 0x79fe494a144d988d),
    HistogramVector(
        name: "int_hints_written_reset", isFloat: false, hint: .reset, count: 4, schema: 0, zeroThreshold: 0.0,
        positiveSpans: "0:1", negativeSpans: "", customBounds: [],
        hex: """
            000480004627f0000c661370d8471f08 0bd800000000001c7cf83a988b787e22 2130
            """,
        digest: 0x4a81788c8da240d8),
    HistogramVector(
        name: "int_hints_written_unknown", isFloat: false, hint: .unknown, count: 3, schema: 0, zeroThreshold: 0.0,
        positiveSpans: "0:1", negativeSpans: "", customBounds: [],
        hex: """
            000300004627f0000c66128fa0044000 00000000000011f83a988b115ffc4612 fff8
            """,
        digest: 0x79ef5375ac9123dd),
    HistogramVector(
        name: "int_empty_no_reset", isFloat: false, hint: .noReset, count: 40, schema: 0, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "", negativeSpans: "", customBounds: [],
        hex: """
            002840741fc00031984dad6800000000 0000000007c1d4c00000000000000000 0000000000000000000000
            """,
        digest: 0xfe3d4be9f4aa2624),
    HistogramVector(
        name: "int_histograms_blocks_unknown", isFloat: false, hint: .unknown, count: 20, schema: 0, zeroThreshold: 0.0,
        positiveSpans: "0:1", negativeSpans: "", customBounds: [],
        hex: """
            001400004627f0000c66138ff9072308 0c3000000000001c8cf83a988b90388e 216121b85f8410861042384108610427
            84108610423841086104
            """,
        digest: 0x9acd542f9d215910),
    HistogramVector(
        name: "int_odd_spans_unknown", isFloat: false, hint: .unknown, count: 40, schema: 0, zeroThreshold: 0.0,
        positiveSpans: "2:1, 0:1, 5:0, 3:2", negativeSpans: "", customBounds: [],
        hex: """
            002800005232898594dfc00031984a3e 80111ff800000000000011bfc1d4c488 de370000000000000000000000000000
            00000000000000000000000000000000 0000000000000000
            """,
        digest: 0xa328fb6f70e4729f),
    HistogramVector(
        name: "int_counter_reset_no_reset", isFloat: false, hint: .noReset, count: 20, schema: -53, zeroThreshold: 0.0,
        positiveSpans: "0:1, 1:1", negativeSpans: "", customBounds: [0.005, 0.01, 0.025, 0.1, 1.0, 10.0],
        hex: """
            00144000ee5ca28c56b62f35c65f1f4f c1388ff0000c6612d8de0680809c0000 000000018bc57c1d4c4dc02e311bc3a0
            d647e820504060834103821d04060814 1078205040608f4103820d0406081410 f8
            """,
        digest: 0x332caea45e79bfce),
    HistogramVector(
        name: "int_zero_only_no_reset", isFloat: false, hint: .noReset, count: 40, schema: 2, zeroThreshold: 1.0,
        positiveSpans: "", negativeSpans: "", customBounds: [],
        hex: """
            002840f491fc00031984dad681c78e3c 201f0000000000007c1d4c463c418e01 6246f0f8889888d24ffc72063885891c
            03e2226223789e21118844e21118846e 17e208862088e208862089e208862088 e208862080
            """,
        digest: 0x0f1da449801090ac),
    HistogramVector(
        name: "int_counter_reset_reset", isFloat: false, hint: .reset, count: 30, schema: -53, zeroThreshold: 0.0,
        positiveSpans: "0:1, 1:1", negativeSpans: "", customBounds: [0.005, 0.01, 0.025, 0.1, 1.0, 10.0],
        hex: """
            001e8000ee5ca28c56b62f35c65f1f4f c1388ff0000c66136b5a04880cd00000 000000117c1d4c4dc82e311c43a0de2f
            c11410c13411c1b08fd0406081410782 0504060874103820d0406081411f8205 04060834103821d04060814107820504
            0600
            """,
        digest: 0x78a22d5809e84d8d),
    HistogramVector(
        name: "int_counter_reset_unknown", isFloat: false, hint: .unknown, count: 30, schema: -53, zeroThreshold: 0.0,
        positiveSpans: "0:1, 1:1", negativeSpans: "", customBounds: [0.005, 0.01, 0.025, 0.1, 1.0, 10.0],
        hex: """
            001e0000ee5ca28c56b62f35c65f1f4f c1388ff0000c66128fa0048000000000 000000117c1d4c4d88bfff188c25fff0
            6b1341282306a13c1b43e0d82682304a 0d637a085041823410e09d041821411e 0850418348ffc1bc3e0dc2682304a0da
            2fc11410c0
            """,
        digest: 0x0719f73581268528),
    HistogramVector(
        name: "int_bounds_change_reset", isFloat: false, hint: .reset, count: 40, schema: -53, zeroThreshold: 0.0,
        positiveSpans: "0:1, 1:1", negativeSpans: "", customBounds: [0.005, 0.01, 0.025],
        hex: """
            00288000ee5ca28c53b62f35fc000319 84dad681d6a203340000000000071e78 f1f075313720b8c4710e8378bf045043
            04d04706c23f41018205041e08141018 21d040e08341018205047e0814101820 d040e08741018205041e0814101827d0
            40e08341018205043e0814101820d040 e0
            """,
        digest: 0x863e1304673d938b),
    HistogramVector(
        name: "float_old_2_42_no_reset", isFloat: true, hint: .noReset, count: 20, schema: 1, zeroThreshold: 0.001,
        positiveSpans: "0:1", negativeSpans: "", customBounds: [],
        hex: """
            001440ff3f50624dd2f1a9fc8c627f00 00c661522ce0203b4400000000002033 400000000000202b4000000000002033
            4800000000007c3a987207c81f207c81 b885f10be217c42d3332de27ef13f789 fbc4f430c30a38e38d0c30c29e79e743
            0c30a38e38d0c30c2d83ffd83ffd83ff d83ff406030180a070381c0d0180c060 283c1e0f07406030180a070381c0d018
            0c0602
            """,
        digest: 0x39cc2866fe353e1d),
    HistogramVector(
        name: "float_counter_reset_no_reset", isFloat: true, hint: .noReset, count: 20, schema: -53, zeroThreshold: 0.0,
        positiveSpans: "0:1, 1:1", negativeSpans: "", customBounds: [0.005, 0.01, 0.025, 0.1, 1.0, 10.0],
        hex: """
            00144000ee5ca28c56b62f35c65f1f4f c1388ff0000c6612d8de020200000000 00000000000000000000020270000000
            000002013000000000000201a8000000 000007c1d4c6f0b700bd81fdc0db83ad e1d8ec0fb689ed647ece29502c668d01
            eb13e2d82f506ef07a48ff4740fb82e0 24d43b30321a03da1f8091502c60e6b1 fea0f9c0482a058c0c81a03d827c0486
            a3d861e41d03c70123a8361819034073 c0482a05860e43d0fc7010
            """,
        digest: 0xb8b44c599de408e0),
    HistogramVector(
        name: "int_irregular_time_unknown", isFloat: false, hint: .unknown, count: 40, schema: 0, zeroThreshold: 0.0,
        positiveSpans: "0:1, 2:1", negativeSpans: "", customBounds: [],
        hex: """
            002800004a28c9fc00031984a3e80000 000000000000001f0757b1622bff8df8 951612fffa3c4abb6035f89516b0b478
            9576d06bf12a2d8168f12ae95f89516a 13d1e255db81afc4a8b685a3c4aba57e 2545b03e8f12ae8afc4a8a68f12ae8af
            c4a8b589e8f12aede0d7e2545b82d1e2 55d2bfde4c8c5b43e8fc1b81dd15f895 14d1e255d15f89516c13d1e255d0afc4
            a8a347895742bfde4c8c53a3f06e0774 2bf12a28d1e255d0afc4a8b48ffd1e25 5dc01aff7932316f0b47e0dc0ee95f89
            516e0fa3c4aba2bf12a29a3f79323745 70
            """,
        digest: 0x92dff1c8d6c1d287),
    HistogramVector(
        name: "float_counter_reset_reset", isFloat: true, hint: .reset, count: 30, schema: -53, zeroThreshold: 0.0,
        positiveSpans: "0:1, 1:1", negativeSpans: "", customBounds: [0.005, 0.01, 0.025, 0.1, 1.0, 10.0],
        hex: """
            001e8000ee5ca28c56b62f35c65f1f4f c1388ff0000c66136b5a020000000000 00000000000000000000020334000000
            000001ff80000000000001ff80000000 000007c1d4c6b0eb905e12fffe133ffd a84d710eec07ac3eda16de2ff585c9b0
            3a8bb41ea17ed62f50f605c2454d98c8 68fa84f849ad847eee07ac5fa3a03da1 709a47fa816633785a0fd81f84dc1d40
            b19cda27a039c24a8763191a07d627c2 6c17a837783d247fa3a03dc170126a05 98190d1fed0fc048a816307358ff501c
            e0241506c60640d03ec13e024350ec30 f20e80e38091d40b0c0c81a0f9e02415 02c30721e80e3808
            """,
        digest: 0xcbc6ee13ff3cd0ae),
    HistogramVector(
        name: "float_counter_reset_unknown", isFloat: true, hint: .unknown, count: 30, schema: -53, zeroThreshold: 0.0,
        positiveSpans: "0:1, 1:1", negativeSpans: "", customBounds: [0.005, 0.01, 0.025, 0.1, 1.0, 10.0],
        hex: """
            001e0000ee5ca28c56b62f35c65f1f4f c1388ff0000c66128fa0020000000000 00000000000000000000000000000000
            000001ff80000000000001ff80000000 000007c1d4c6b0eb117fff097fff099f fed426b097fff603d61f6d0b6b137585
            c9b03a97683d42fdac5ea3d8170915a8 4f98c86da1fd427c24d6c137703d62fd 1d1ed0b84d23fd4b319bc2dac6f7607e
            1370750b19cda27a0e7092a363191a1f 589f09b05ea77783d247fa3a0f705c04 9a8598190d1fb43f0122a16307358ff5
            07380905691ffc60640dbc3fb04f8090 d6e136187907471c048ea5860640db45 fcf0120a8b0c1c87a1c70100
            """,
        digest: 0x341b2356de93432f),
    HistogramVector(
        name: "int_stale_no_reset", isFloat: false, hint: .noReset, count: 21, schema: 1, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-3:7", negativeSpans: "", customBounds: [],
        hex: """
            001540748c6f57f0000c6612d8de078b e7308121a672b020c49dc5ac2ecf871d dedd683e0ea6310e55eadb4bc7a819de
            d3a8c5b7e3d43c8f439683b616b3a6e4 d697de617757c391880333793f000000 000186beef15b6615b76ecbc39eba041
            99dadb0bb6c5312c6a5aad11fa046ba9 85db98ed23551809ccd95830656df126 cb1ccca26800000000037387c96bb19b
            6b3bbf71aec96d315270863b73f1a169 17892ff90d828a6e1acbc13b1e4791e4 6b698c6f313b3c436916f286df12666f
            0a93326a7cf9b8df13b764360d3178ed f12d8641447d5b417cf5928a6f030d18 1200000000001bcc6edc52f04ac3976c
            6b3ac46e6fb7c54acd9c5b8c3c57b486 2fbf65665f3b645a1f
            """,
        digest: 0x27ebc29b13c393e3),
    HistogramVector(
        name: "float_bounds_change_reset", isFloat: true, hint: .reset, count: 40, schema: -53, zeroThreshold: 0.0,
        positiveSpans: "0:1, 1:1", negativeSpans: "", customBounds: [0.005, 0.01, 0.025],
        hex: """
            00288000ee5ca28c53b62f35fc000319 84dad68080ed40000000000000000000 0000000080cd00000000000080bc8000
            0000000080dc400000000001f07531c4 3ee417c02f8836f17ae21d9e01686de2 ff787e515163bc3e9e8738a2a6c66868
            fa88ff8b611fad847ef207ac9ffa0740 7c42e0120d40b301901a0fe01f804815 02c60721f40738048150ec60320340fb
            c4f80483506c307903a038e0123d40b0 c064068fe780481502c303907a038e01 20541b0c0640681f70bf8048750ec187
            c81d01c380483502c180c80d07c78048 1502c181c9fd01c38048153ec180c80d 03cf80483506c183c81d01c380487502
            c180c80d0fc780481502c181c83d01c3 80481506c180c80d03ed1bf804
            """,
        digest: 0xe88ba54cf70d5543),
    HistogramVector(
        name: "int_bounds_short_unknown", isFloat: false, hint: .unknown, count: 40, schema: -53, zeroThreshold: 0.0,
        positiveSpans: "0:7", negativeSpans: "", customBounds: [0.005, 0.01, 0.025, 0.1, 1.0, 10.0],
        hex: """
            00280000ee5c6e5ad8bcd7197c7d3f04 e23fc00031984a3e8000000000000000 00000f83a98c63117ffd145128c25fff
            8de378de2de3589b78de378dd44b1bc6 f1bc5bc4778de378dd46a13e378de378 b78da1fbc6f1bc6ea3609b1bc6f1bc5b
            c4778de378dd44b1bc6f1bc5bc6b1bdb c6f1bc6ea216378de378b7883bc6f1bc 6ea236378de378b7887bc6f1bc6ea276
            378de378b7883bc6f1bc6ea216378de3 78b788fbc6f1bc6ea216378de378b788 3bc6f1bc6ea348ffe378de378b78de1f
            bc6f1bc6ea3709b1bc6f1bc5bc4778de 378dd44b1bc6f1bc5bc6d17f78de378d d4458de378de2de21de378de37513637
            8de378b788f78de378dd46c1bd8de378 de2de20ef1bc6f1ba8858de378de2de2 3ef1bc6f1ba8858de378de2de20ef1bc
            6f1ba89d8de378de2de21ef1bc6f1b80
            """,
        digest: 0xcf446a56114bb45a),
    HistogramVector(
        name: "int_sum_specials_unknown", isFloat: false, hint: .unknown, count: 40, schema: 0, zeroThreshold: 0.0,
        positiveSpans: "0:1", negativeSpans: "", customBounds: [],
        hex: """
            002800004627f0000c66128fa000fff0 000000000002f83a988b669000000000 0003118018612fff8600200000000000
            0000427ff80000000000000800200000 000000042800000000000000009ffc00 000000000002800000000000000109ff
            e0000000000000200080000000000010 a000000000000000027ff00000000000 000a000000000000000427ff80000000
            00000080020000000000004280000000 0000000009ffc0000000000000280000 0000000000109ffe0000000000000200
            080000000000010a0000000000000000 27ff00000000000000a0000000000000 00427ff8000000000000080020000000
            0000042800000000000000009ffc0000 0000000002800000000000000109ffe0 000000000000200080000000000010a0
            00000000000000027ff0000000000000 0a000000000000000427ff8000000000 00008002000000000000428000000000
            00000009ffc000000000000028000000 0000000010
            """,
        digest: 0x236525127961194f),
    HistogramVector(
        name: "int_bounds_long_unknown", isFloat: false, hint: .unknown, count: 40, schema: -53, zeroThreshold: 0.0,
        positiveSpans: "0:8", negativeSpans: "", customBounds: [-1.5, 0.0, 0.1, 0.3333333333333333, 33554.43, 33554.431, 1000000000.0],
        hex: """
            00280000ee5c7105d7ff000000000000 11e328ff55555555555557f7fffffc81 c0c49b9581062441cdcd6500000000fe
            00018cc251f400000000000000000000 3e0ea6320c45fff4514515184bfff1bc 6f1bc6ede3589b78de378de2a258de37
            8de376f11de378de378a8d427c6f1bc6 f1bb78da1fbc6f1bc6f151b04d8de378 de376f11de378de378a896378de378dd
            bc6b1bdbc6f1bc6f1510b1bc6f1bc6ed e20ef1bc6f1bc5446c6f1bc6f1bb7887 bc6f1bc6f1513b1bc6f1bc6ede20ef1b
            c6f1bc5442c6f1bc6f1bb788fbc6f1bc 6f1510b1bc6f1bc6ede20ef1bc6f1bc5 4691ffc6f1bc6f1bb78de1fbc6f1bc6f
            151b84d8de378de376f11de378de378a 896378de378ddbc6d17f78de378de2a2 2c6f1bc6f1bb788778de378de2a26c6f
            1bc6f1bb788f78de378de2a360dec6f1 bc6f1bb7883bc6f1bc6f1510b1bc6f1b c6ede23ef1bc6f1bc5442c6f1bc6f1bb
            7883bc6f1bc6f1513b1bc6f1bc6ede21 ef1bc6f1bc40
            """,
        digest: 0x52ca176131f8004e),
    HistogramVector(
        name: "int_schema-4_no_reset", isFloat: false, hint: .noReset, count: 40, schema: -4, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-2:5", negativeSpans: "", customBounds: [],
        hex: """
            00284074de46b67f0000c66136b5a079 e036a81430ee353f7cedbe194ed8e632 9c33f83a98c6b9db9b682f9eb27c36ea
            71de11e41ddd6263ba9334dc5f294d88 b350e76dc91e3d70a4f11b296de8c85f 8dba64be830a6dde67fbbf863426f353
            9b1c2670b3fc90a3f70ef1bb7c2cf68d 6c67b000000000d9e26f85935f7eb5c6 d55fbd76b8df79b9c4b28df8ffd6e1c2
            8f5bef89dcdb1cc2c626b1a9fbe76ce2 36187c56cdabbcec8000000000dc6227 b49b41188271a9fbe76d8795371b86d5
            0a925f418536d86d563e28df6e3f764b e830a6dc3eab1fbcc935318050000000 001b2c749b06f02c933ae37c6e353f7c
            ed9c2ced4db35d7e03ebddd65bccb375 1e62cc6175edd83778546fdaaaa9fbe7 6c8d2b0c9b8d72890a3f70ee35c4e1b6
            6d9b7e3f5b682f9eb25be2763bac6b79 18080000000000dde1463ef0676e1c28 f5be789da46ed695da63ef165909c000
            000000319bbdccead74603b682f9eb25 6de587acd2bc720000000000acd86dd0 836da0be7ac9586dd3758662230edb41
            7cf592b7588c3ee6cc426bf682f9eb25 61b71b9c3e4576e2fbfeeb0cc3edd541 1d8cdc6d776dd38df916e1c28f5bdb8a
            62b74da8de53758565dc06ccc5ed7185 f8df176e1c28f5bd29eef740
            """,
        digest: 0x27a1127920b6ff98),
    HistogramVector(
        name: "int_zero_threshold_0_no_reset", isFloat: false, hint: .noReset, count: 40, schema: 1, zeroThreshold: 0.0,
        positiveSpans: "-3:7", negativeSpans: "", customBounds: [],
        hex: """
            002840008c6f57f0000c66136b5a079e d3882814970ab020c49bbce7e3176ab8 6ddc6ccf0a3e0ea63211e24c8c313bcd
            e322df86f570ed60478c70fb84e7b913 e75c083f7aedf798a8ebb27b96e91700 0000000026dbe4b45926f2fb85eb756c
            46f323b56d9cad91ed6c08712a56c36c 986523cedbbac08f129ee276b89d9e1b 77856eefc0ad6f6f89dce2f7985b3791
            e76eee043f7c8de37c36da9bb930d7e3 756a624b4385786dd6eb0ca5d16fc3dc da0be7ac96561bcc3b10884000000000
            36f92dbb0d2d936285e0000000001b7c 4d3716c32c83c80000000005eec2b740 acd5000caa5f3682f9eb25c4ede379d7
            10ca47669f1ded05f3d64bb7c4e37678 cda4db041e2ed05f3d64a6e70fb1caee 9ba40ea664d4f9f338bdded30cdd6ed7
            4060966a043b97bbbe1ef85ddd1aebb7 586b4b7785de333186ac5c083f7ae895 27b7c3b4f716de5713b9615013200000
            0000018566e306d800000000018c96df 77bb6a90092b8107ef5d30daeb63246d ae6eb0cacc8c4018dbc0cb9a43f7acdb
            2b527b945b58c00473d60c68b56a6eab 875d5b969023100672f1fdd478d2f9ea e23718ed918723023d53f7ced91c6fb8
            c4df19ad690dbe2775858ed318bdc019 641feab020c49ba61f7989da1b28c074 00000000005efb6c60
            """,
        digest: 0x1778f68e6118e6c9),
    HistogramVector(
        name: "int_big_counts_unknown", isFloat: false, hint: .unknown, count: 40, schema: 0, zeroThreshold: 0.0,
        positiveSpans: "-300:1, 299:1, 499:1", negativeSpans: "", customBounds: [],
        hex: """
            002800004e3eed48f84ae3e1f37f0000 c66128fa004400000000000000011bbe 0ea63f80007a35294401d87dfc6fc879
            1000eb3bf80003a35294401ff800005c ad6bbfe58e401c00000000000063b64c 72fc8fc8791000eb3b1db26397e37e43
            c8800759d8ed931c8038000000000000 c76c98e5f91f90f22001d6763b64c72f c6fc8791000eb3b1db26390070000000
            0000018ed931cbf23f21e44003acec76 c98e5f8df90f22001d6763b64c7200e0 0000000000031db26397e47e43c88007
            59d8ed931cbf1bf21e44003acec76c98 e401c00000000000063b64c72fc8fc87 91000eb3b1db26397e37e43c8800759d
            8ed931c8038000000000000c76c98e5f 91f90f22001d6763b64c72fc6fc87910 00eb3b1db263900700000000000018ed
            931cbf23f21e44003acec76c98e5f8df 90f22001d6763b64c7200e0000000000 0031db26397e47e43c8800759d8ed931
            cbf1bf21e44003acec76c98e401c0000 0000000063b64c72fc8fc8791000eb3b 1db26397e37e43c8800759d8ed931c80
            38000000000000c76c98e5f91f90f220 01d6763b64c72fc6fc8791000eb3b1db 263900700000000000018ed931cbf23f
            21e44003acec76c98e5f8df90f22001d 6763b64c7200e00000000000031db263 97e47e43c8800759d8ed931cbf1bf21e
            44003acec76c98e401c0000000000006 3b64c72fc8fc8791000eb3b1db20
            """,
        digest: 0x28a82b8a9a0ef140),
    HistogramVector(
        name: "int_schema_changes_unknown", isFloat: false, hint: .unknown, count: 40, schema: 3, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-3:7", negativeSpans: "", customBounds: [],
        hex: """
            002800749c6f57f0000c66128fa0062e 2804dc6a7ef9db22e8cab86dd3e0ea63 26d3be4bb870a3d6f51313b9be1b72b4
            615edc3851eb7af38ecf1dbcdc61d8d4 77666cac183366518ed70b8fd9b4a818 dc370dc370a6eef2a3678e585e22ec92
            14dffffffffff188dc30bbcbd1adbb71 886ee91de2280300000000000046e661 3c779eb063459bc3cb6f89db44d4200a
            00000000001b9b6276f8ab987409e000 00000000253ddb731056d85622f00800 0000000006276e0c9c60b42cd4183169
            186d8e4b776b619a6401400000000003 7586dbe1671dd34086e936478f5c2962 eb6dd6177726e51a616748ae1c85de6f
            294dde171cd6202800000000001b9c3d a519eb19541189eba041993928d69b8c a353781a600000000002d79eeb17ab6e
            c06ef0ac2a00ed9370e147aa9593a9bb 1692b331f18740ced81fbe7630fbab98 66ed009000000000006e70d8adbb7420
            3ad7020fdeba789dbb6f8919440a3274 de47a1cf7390dbe23775c3b7578350e5 3d6f1ba04f7585db64371b96c6300492
            3c7ae1485dde1f792dae2cc85e071000 000000008df0f2db9888e8dff852f11a a0ce9e1f6189dce3a5b7777eedce1cd8
            61f12c74601ccf7ae98957188dd5a568 ddb7400400000000003718694ad78b21 7dd969d23c7ae14868ded85c66c5ae47
            c92fa0c29b4cf791b5f698f54acc0c94 67300000000000323af35d706bf220
            """,
        digest: 0xf77b695d8becaf46),
    HistogramVector(
        name: "int_zero_threshold_changes_unknown", isFloat: false, hint: .unknown, count: 40, schema: 1, zeroThreshold: 0.5,
        positiveSpans: "-3:7", negativeSpans: "", customBounds: [],
        hex: """
            002800f38c6f57f0000c66136b5a079e fb6e814b4ed4fdf3b647cdebf177bbd9 ad1e7be0ea63271e244f896165b752fb
            b2ea2a9fbe76c8cc3ede7b6c8b268ede a7ef9db23657498ddc4a2d9a68bfffff ffff9abcd3751bb5482255810624dd4f
            71bac361778cca1df4189374bcb0f85d adf13b7de35918d98000000000dcee31 d124c35e0e9d6047894f4c56db6f8fdd
            312d98fd6bb897d061637ae2f716c3b0 b1e37dbaf810a2cedc2b73bacbeb6aef 05dba8b0bb1c79858c6abe0428b3b4a6
            f03781bca062dc30d7166a0c18b36177 630cade0f8614f9cba2c46cf0a376dca 1e0000000000dc62095aec5a341c370d
            c373623712bdcc5461957020fdebac4e bf2bb1bccd9a73427cf9daa1dde1b658 da6f0922d30a2fdf332b46389d9d0cd3
            7e19a6b0617ce5f6c46ea37c3625b54e 29ba4ea3d6d87d9e67478add6ddb7bf2 bbabd8306255fc5ed75b930c2c78dfd8
            989fb060cf6193ae170fb430add87822 5da23f40db0f88d76e719866a6f01400 0000000371bbc96edba63dc6f81c791e
            4791b4de3778c96dd8a8f0bb9bced81f be7de6277788dbdf0ad638dda992d020 c49b794dc6277336dae5e2dce1a2c846
            5fd5d353f7cf0fb9188dc36176e70e37 18846200ccdf7e3ae5b870a3d6dc4ede 385dd314bc66e895502144bedf2db2dd
            e1b17ab11840000000001b3c9eeb0bb7 c534f71bac36eed16663b71fdb47894f dc3e1715b5de059cadef92d020c49eee
            d3c3d2bbc0
            """,
        digest: 0xff6feb42b10a264d),
    HistogramVector(
        name: "int_buckets_appear_unknown", isFloat: false, hint: .unknown, count: 40, schema: 2, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-3:7", negativeSpans: "", customBounds: [],
        hex: """
            00280074946f57f0000c66128fa00662 28080c4dd2f1a9fbf1c3ee695b61be0e a6328d7aca0d67712fa0bc3136ab6d18
            94000000000000dccd8e6acf789acee2 5f40989dbedf138e550ec1374bc6a7fc 2eef6f89a4766c95f6659f8e56041893
            c71fb6dd61f6976ba3b738d48f1eb852 1bbadc6325bac7eddbbbebd7e888f1eb 8521a8eee97dc649b343660000000000
            566de5374cec632fb417cf592a993d6e 1edb87782e35b93dccb0ac9460ae2c85 1fb87662375661f725d0ac8000000000
            3718690c4b769e22f59b22c8d74de1b9 c76c1bb419ccc9a9f3e67acd3bedf0ec b21443b6870e5d25f0d4da62775866f1
            18d560c2f9cbb5bba6276190d935e860 800000000006e188bc586bc160000000 000030dba46ec33471fe213557cf5d4e
            470fb8dc635b78c032322d8ae149c8ee 189a6d5bb401b6000000000095ed7de6 1d974051db5b021c4bd86dbe169baa51
            a5bc003999353e7ccbbca56b86de6ed7 8ad20317781ce0000000000018cda288 04e12fa0c29b5985ddc6fb4cb333180e
            6892d0e15fbd3c2e23612dcb44801b7f ffffffffb13af8edb236ab0c807dd581 0624dd76f89c3c77035f71b862051005
            6000000000001464107ea6872b020c4d 255ab0fb562500e7c8b62b85276f30db bc66df0bbb69226e311b7c4ed318c720
            07f67604f9f399cb769aac6202da78dc 47a810ae2f713ddcb0cd6200e6000000 00006cf1b595a6c5a074400000000001
            8adcc76cda5e004354084fdf394ebb6c 3ca2
            """,
        digest: 0xc96a22e55c1a9008),
    HistogramVector(
        name: "int_stale_unknown", isFloat: false, hint: .unknown, count: 40, schema: 1, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-3:7", negativeSpans: "", customBounds: [],
        hex: """
            002800748c6f57f0000c66128fa00666 28081a147ae147ae3878ee237623e0ea 6338d7ac059ad8ccd95871bb361b7586
            ab6b18f100000000001b3c6a385da619 8f6adb5e7e7aea6e66762371bcb65b62 d5a070f5b06f5ba485a7afc633978f8e
            b0617ce5da5a588dbe4374dac609d185 3e72e98f111dced717afc33609e5a652 73326a0dc6ef1785ddcb0cc55e059e5b
            c08532718cda61776dd30e82da566d0f de04c2ec325bcaa6d19bb96f3798b558 a8c067336560c19b617774de06190d50
            0000000001bbc2ef319bb8ef18741a0e 7ac18d1794eac5ecaf446f1c50000000 000159b61c25d59b3408600000000000
            c36972b26da21b7c4acbdc0118803856 86a52ee05fb9776237186dd61726d2b4 71feab1e4791e476dc6476389de6a54b
            c03992ee05fb97986dd5a55c3ef18540 6132ee05fb9793c2ecf0adc63db28c02 800000000001b78e1a587dcd5b940015
            0a3d70a3d94de1b9c3ef114003bb22d0 e56051b819fbc0f9bb22d0e5605bcc4e ef135c56c1ad4050600000000017de61
            76f8ad7e6d888c0234ac083126ea6377 3b3c66c58b41ed000000000006223b7d dd1b5402bbfffffffffd89dbeaf0d97d
            c62185404fe95502144a55994c2ec9a2 375863693c331978015000000000013a 6e67536d1800a000000000015de61ef1
            30b780280000000000030dba31081d2b 682f9eb25d86dd2d2a28805092fa0c29 b4b0db4c4d77587c2a480ac1cac08312
            737587de4f0d2da379187d4639581062 4e7bc8e1b695c580
            """,
        digest: 0x3ef7169341a03c7a),
    HistogramVector(
        name: "float_bounds_short_no_reset", isFloat: true, hint: .noReset, count: 40, schema: -53, zeroThreshold: 0.0,
        positiveSpans: "0:7", negativeSpans: "", customBounds: [0.005, 0.01, 0.025, 0.1, 1.0, 10.0],
        hex: """
            00284000ee5c6e5ad8bcd7197c7d3f04 e23fc00031984dad6808134800000000 000000000000000000080cd000000000
            000809c00000000000080bc000000000 00080cd00000000000080dc000000000 00080e580000000000080ed000000000
            00080f4800000000001f07531c82dc82 dc41f207c41f207c82f905b805b88778 03e017c41f00bde2ff8877805b8875bc
            5fa7789f30b78bfe21d6f0fa2ef0bde1 f8b787e2c5de1f710fa1a30c6743e21f 700b4d99cd38737805b88751d18e31a3
            f10eb68bf6c23f758dfea23ff60dfeb1 ffed1feec23f768bf720b406e40f903e 40e0501f20b7106817883e217c41f10b
            83c0bc41b809a83d3c03f30283f809a9 102f00be01f9700fc360591bc5fa0346 3183407bc5fa221d99ef0fce070ec44d
            40e8f10b8c7a079a88837787f789fc02 f789f05836221a0343c81c30280e1b70 9e81631f1071c3e05dc27b88751fa1dc
            2fe18147fc43ae01681673c29e0b02f0 0b710fa03430619f407c43ede1f41b18 e34703837787dc43a81d0c3860d03f10
            eb805a1ddc27ee17f3b70bf86c3bc02d c82d01a0c1830280f905b88340b0c385 0e0f02f106d44ffd07a0c7830283f417
            ffd00502c71e1478ec0b0017113d01a0 c1830680f889e913ec30f68bf87039f6 47017a81d07885c18740fc05ea220d9e
            7f00b9f05836221a0341e40e0c0a0386 98816187c41c3d847fc0b31150fa0ef1 3e0c050fc56f13d02c71e28f02c0bbc4
            f720fa0341860c1d01f20fb885a0d861 cd0e03837885b907503a0c7060681f90 74
            """,
        digest: 0x855a146df487ea51),
    HistogramVector(
        name: "int_plain_unknown", isFloat: false, hint: .unknown, count: 40, schema: 0, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-5:11", negativeSpans: "", customBounds: [],
        hex: """
            002800744717bb7f0000c66128fa004e 280488000000000000095be0ea623100 0669a75f97dd2f1a9fbe89598796de38
            66a2fbf1c493d0e13d6f823b8b626fba 541695e20c54756dd8814dacee25e811 bd37944d140800000000000a6ee21bcb
            c09d4396813a6d61f7237945a5bc6563 323878d2f9eb87b9c3987936f6951242 80c083f7ae9886e70f6c34f75668406d
            e53ae1acc9a0fdd60c68b3948c4edcc3 6f1631378c7b49d2749d2118adb37546 2778da211b80000000000dbdf146163b
            9b24d1bff0b42bb497cf9187dc9bbc5e d30cc44601c80000000000256c4df71b 4c61b64043c00000000006df13b86231
            35dd2681c66c185f3976d30bb72f16e9 896b2ede6ef120acea00018e8f0c390e d51fbe04f0b6ae1776037578de624fc0
            831f7785c2edb0a03291df8d16d60478 94fd6ae1719b463b64366dd7f0ce45f3 e46b537985d7e31b2c96f0c8b7e1d614
            8566c8ff8bd863b6585187dc9a246d00 00000001b5c5edf121b6c5199becd354 117ee1c299715b6a6f02f878b7318473
            7a896d06776d8fdc4e75c2eee35ddb6b 79a720468af9cbdbba46b3dde16f86dd b108cfca4aa2554094de61b741692318
            2cdc27ad8b4493aeeb1fb746fb9c3887 7809d2e929fe7b6c3e1b6389c2eea33a aed7afdc702147ec5a6b35e2a6f15c2b
            237837668b6b021452b6336336df25b7 61dae8c04c0000000000b4b698ac44f6 fb7c4b6eade0192a89550217b0bbbc46
            cab8906ed0ff40000000001bbc2ee311 1a6ee563108066c86e178d20c86c0bef 30b6918c8c12c9e3b63511b566617766
            276ed25cd9e34dde14dbe240
            """,
        digest: 0xf01d385d158ef46d),
    HistogramVector(
        name: "float_plain_no_reset", isFloat: true, hint: .noReset, count: 20, schema: 0, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-5:11", negativeSpans: "", customBounds: [],
        hex: """
            001440744717bb7f0000c66136b5a020 3d26b020c49ba6202680000000000020 448be24dd2f1aa201ec0c49ba5e35420
            2220d4fdf3b645a01aa126e978d4fe20 1f61cac083126fa01e610624dd2f1aa0 1da0c49ba5e354201d8126e978d4fea0
            2370624dd2f1a9a023b051eb851eb820 1e40624dd2f1aa20213072b020c49bfc 1d4c73ae008372b368f007fa18f129fb
            981e28c28ed95c39072b280c28ac8ccf 707fa59b6c08712f1fe6787ef91a98e3 78580e185c0c68b3957cb95dc7df0214
            59de9dfee07614fde348f00eee13c011 6020fdeba63a160dcacda1fc69dff612 fa0c29b5783bd3c2bf78cc4f37e3d40c
            68978d4d8cd167604f9ec9b04f799e0c da5fbe4b68bd04a400000000009f0c2a c8be7c8d6ec099bc4b38058000450000
            00000004580000000000069dbf31e479 1e479306d27c31dd97389bc4f5810a20 080000000000040d000000000006c1f8
            840bd637f0157810fdf2321b84f010c5 0da8316f1b88d00a000000000006d12c 1c02c73b700872d93786805d21fbd66c
            9098f5343f7c8d4ca1bc7ce94772dd37 ae0480b000000000000202c000000000 0370bf6e0b970c223f7aed6d51788382
            b23b857ef9d26368778df00bf7291689 c132000000000022fac08712f1f41c01 86f1251a0624fdf32a700b8393127e04
            18e800030a3b6570ff99f19db23f7291 201c28bf7ccdb143765c80c676c8fddc edcbf6ce664d4f9f81d000000000000f
            1461476cae1ff99e1fbe46a639b06ef4 efff8614dacee2548000c189fbd44040 000851676a88c0230010aed25f37787f
            9db01bc6f1bc6f0d3bfec3c8f23c8f21 080001062b2557f8
            """,
        digest: 0xa81d9666101f7cac),
    HistogramVector(
        name: "int_buckets_appear_no_reset", isFloat: false, hint: .noReset, count: 40, schema: 2, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-6:13", negativeSpans: "", customBounds: [],
        hex: """
            002840749471bba7f0000c66136b5a07 9f0788a8149b689374bc6a93abc21b4c 2f73b883b3c67bb70f83a98cab95b93c
            b409d37b317badde1776035f1ed566b8 52159b69ecb0d85dde1406f2e5660000 0018d73b2976042bb494188aeec0c5b7
            e3b42e811e3d65029bc61f7235003717 c4b738719f48eb96f0214f64ac317bbd d633683528198d21fbd614b4b11b86d7
            0b86da6306210c7a62dd478d2376e321 bbb5e374acbb761e749aae9a9fb87dcc 6fb8c2ca378e1b7126e630f600000000
            06e311788c3ee5bac318c6fc62aec09f 3e76a30dba3738729855af3a9ae24d47 8cc5e22588dbeef76c6c7663d4f24290
            a4291bbc56ef0fb9b6e31fbbc6356e37 d0912ee05fbf12dce17738761f6786da 36d70b4837387134342dac0851fd2b02
            370c8a350521c8be7d8bd9e1b793b2f7 886b9c2fd3af9eb25317b5c5ef295922 1264dbb2c220c49fbe6551b80c45364c
            3c66278319db23f178b13b74eb8ed5ee f18d55e01372bb9570e08d36589567b2 c6c4de46028870afde330bef30a08dcc
            720684bc7a810e189dbe1b740bc4c55e 1c5ac8cccaa8d59de386dd61f7224d52 00b9daa2cec1a3b9c3eeb0fb8c36e70e
            2cc44603f8b3b547eea586dbc6d200ad e37b4f9cba635ebbbc45378061776aa1 e79e831a25e48eee830bbb6ef0aac606
            80000000000bc44b73850c75e0b01ba1 c28bf8c2eed3ae16b60d786ef0aacf73 8590651b73f08cb43857ef608e16dbc6
            1ab56c90ab20438978f405f772a37589 aad18079ae147ae14a7500dd6199dbc6 2eb645a1cac311b59e1f726276ec4edc
            de461398d26c87615b8c7ee773878df7 793d96df1326906e70e5e3bcdb638b00
            """,
        digest: 0x6b4886102a65a070),
    HistogramVector(
        name: "float_stale_no_reset", isFloat: true, hint: .noReset, count: 21, schema: 1, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-3:7", negativeSpans: "0:1, 3:1", customBounds: [],
        hex: """
            001540748c6f594519ff0000c6612d8d e02034b045a1cac083201b8000000000 0020319c00000000002012404189374b
            c6a0154083126e978d20160147ae147a e0a01cc020c49ba5e3a012810624dd2f 1a2015c0c49ba5e35420196020c49ba5
            e3202100000000000020218000000000 007c1d4c70127609fd6b978d4fdf3b7b c181bc1f006dc3f16dcf89ec18312ae9
            9b83a6bcf6829b59dc4bf86fc7d0306e 53d6f30c650be72ed0e59b44f0db9c80 c29b59dc4bda1fda27b691f31c1bae1c
            3893954d7af80f23c8f23c842313861e 011a2be730f0c03cec09f3e76f705820 008f1396e9b2853c0000000000205f60
            c189574c4140000000000001bf1c81bd 6e93a88a7bc0872d9378bde9c29b59dc 4ba000674cafde238840000000000070
            0733765900c18b49b45a1b6a830a7ce5 fb05febd7e030a6d67712e78a20c564a afd5b06ef705c68c0000000000000493
            d000000000013c0308313919896281b0 5fec13daf5fa27712fa0c29c31180000 0000001b83e860000000000010a04e1c
            28bf7ccdc7b32ee1604396c9bfc511e2 72dd37a84800000000001e28c29b59dc 49448000000000008d01600000000001
            004f5b06f5ba4810000000000000830a 0e8000000000043caebc7a810e676d06 000000000001c018873a022041995954
            4b859125b25d32be80008f1396e9b277 a73a657ef11e85830a0720274ba4a7e3 763dd2ed8d6748b47c1c2bf78cc4f8b0
            00000000000dc164721d200000000006 91ffc06148566c8f2da25810a3405000 0000000000418500f00000000003803e
            57575021ccedaa414000000000000187 f80e4e0dd2f1a9fbf8508081c5f7f346 ed916872b060
            """,
        digest: 0x651fd613031a44dc),
    HistogramVector(
        name: "int_gauge_gauge", isFloat: false, hint: .gauge, count: 40, schema: 1, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-5:11", negativeSpans: "", customBounds: [],
        hex: """
            0028c0748c717bb7f0000c66136b5a07 71f7c80ff025604189375c3caeb71dae eef70eb4388af783e0ea6376e17fdbd7
            4c4ab81dce21700c747471ff93bd6f5b d6f787aeee24f6989c4eddaf40043702 fdca4676dc62978d717b8dbe258b4015
            ea623b417f17c36ef0dbb9ef23bac299 3405f2c4fd8306273aa37de6237986dd 625b2bc03b7fb876348bf5627746f297
            8ee1b98a6dbdf0e0ba48012800000000 0002562b7005a459000d8d50614f9f8b 4806363006828b3b547eee1b7525a371
            15af001924fdf325a1c55946d1176e22 dce1a2bc40ca5e07ff6c5a24f438621b 80c2eecd8a003760438978f46ead8cde
            0dde14d92075b14852148525a5bcc4ed b0f6dbe26ec8c6001357020fdeba313b 7dde2b732c4eda4db5e01ce59d813e7c
            f2bbac65585dae1eec3c60099d8d6748 afe2b92d6615bbc5eeacd520386ce90e 477156ee55a4b718824e155e05416c5a
            24f438615bba6f329ac312eebc600f91 09fbe75316e65853579536ed0200943b 6870e5d561efba325afb8ef020012000
            00000003755c4b6f5c463370c65e00ce c29b59dc4a189db98bdced30ac346012 b0e5db1acefbd68dde170dba61aac7de
            009eb62b8527c88e1f774b6ef7586a6d b0cbc6022ac2bf78cc4f6f23bcc86dcd e530edcde0f418b6b02147f185d96242
            cd9a00cf0a64dd372edde15bbc2987dc b6ccaa01711a992f021cc2eef13b74f7 9bac3e18d7c46df12ad2edd615854014
            9b43872e96e2750959b8400710a4290a 42e53618c25bc916bc07eb688fd0235c 6d331b42d85ddc99740153020cda5fbe
            6236b3c7ec70bba45b340d6f020cda5f be0d8e3f77858e15ba000dd2e81d3204 19b4bf7c12ddb19b7dd0
            """,
        digest: 0x0274b74e02909b5f),
    HistogramVector(
        name: "float_bounds_long_no_reset", isFloat: true, hint: .noReset, count: 40, schema: -53, zeroThreshold: 0.0,
        positiveSpans: "0:8", negativeSpans: "", customBounds: [-1.5, 0.0, 0.1, 0.3333333333333333, 33554.43, 33554.431, 1000000000.0],
        hex: """
            00284000ee5c7105d7ff000000000000 11e328ff55555555555557f7fffffc81 c0c49b9581062441cdcd6500000000fe
            00018cc26d6b4040a0e0000000000000 00000000000000406680000000000040 4e000000000000405e00000000000040
            66800000000000406e00000000000040 72c00000000000407680000000000040 7a400000000000407e000000000000f8
            3a98de27b905b883e40f883e40f905f2 0be20dc83ae21de00f805f107c02f78b fe21de017c02dc42dbc5fa7789f30b78
            bfe21d9720fa2ef0bde1f8b787e2c5de 1fde1f700fa1a30c6743e21f8b907536 6734e1cde0173710b474638c68fc43b1
            6e1fdb611fbac6ff511ffb06ff58fff6 8ff7611fbb45fe82bff41101b903e40f 90381407c82f90343502f107c42f883e
            21707817883e2168220f4f00fcc0a0fe 026ca3e817805f00fcb807e1b02c9c03 e82203463183407bc5fc50d43b33de1f
            9c0e1d89341103a3c42e31e81e6c53b4 1bbc3fbc4fe017bc4f82c1b13789e862 0343c81c30280e1c282a058c7c41c70f
            817709f1a388fd0ee17f0c0a3fe21d85 0740b39e14f05817805ce86203430619 f407c43f0a0a83631c68e0706ef0fc6d
            a37e81d0c3860d03f10ec2e225a1ddc2 7ee17f3b70bf86c3bc02f70bf4880d06 0c181407c82e0b80bd40b0c3850e0f02
            f1070d1107a0c7830283f417ffe0a7a0 58e3c28f1d8160031d1101a0c1830680 f889f05bc6f53ec30f68bf87039f6486
            8440e83c42e0c3a07e02f60a2d06cf3f 805cf82c1b127a7101a0f207060501c3 828540b0c3e20e1ec23fe05990d1887d
            07789f060287e2c143a058e3c51e0581 7789f1db85fa0341860c1d01f20fc172 0ea0d861cd0e03837885c3710b40e831
            c181a07e41d820
            """,
        digest: 0x7b9c81bb46b45996),
    HistogramVector(
        name: "int_negative_buckets_unknown", isFloat: false, hint: .unknown, count: 40, schema: 3, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-6:13", negativeSpans: "-3:1, 2:2, 5:1", customBounds: [],
        hex: """
            002800749c71bba9c6b29470bfc00031 984a3e80161ff6395810624dd304ac02 575fe0ea628000118dd888e1fffeca89
            2d0e15fbd806276e237b45bc40002c18 93f7cc96b0bbb036f890bc62cc200d3b 3d6c5a24f41bbc5db7814de61efba46f
            169ae6ea540de53731c3231ab1a8001f b58521c8be714de18dd9817bc588400d 473d85274bb60de50d9e3713b7c6ecd1
            ba4d5c401b7c4ecf1aba7662ef000126 1fbd66c8b230dba30dba0463bc8b1f18 003e132b2a8b2b062b79b98d379bac3d
            c1699a436d48e177945e21795ecc9a00 053ba6e5bc0850617774aca5bb9585e2 46f001abdcaee55c3858b7585b46568d
            a4c346f18a9180004523d0e5a04fe21b 85a7bba06eaf2bd9af40007e8521c8be 7cb6ec4e237178ef2805a4c3de0000e8
            5fbe663740311b800bc6376190002e18 f6149d2ec1b7c62a61f75746f7932118 00427cd9583066b8b5f0b87dbb798bdc
            e188d9b2403f4058b62d8b62f0fb96ef 0bbbde624acef7905e0003a944b68306 256c4ee69bc61f72adb0bbb8d6576c90
            007150000000000dddb0fbca3738730d ba4578b731001bac32d3bdd964000093 872e96e873176dba75011aa8dc200060
            a76cae1cb47b596270bb89d378188166 26f000d3349caee55c05379bbc2a7530 b3d8237935c800065810624dd2f37987
            a9b9c39bb6148d99a8c00116bf7ced91 68991d6c80c2ee3171b4acde2003d369 570e1c4a4d7e4293dd188b6de7b846f1
            6d2f0001b33c085326f630bb8ae18dc4 b15bcc35a569b1518001e4dcb74deb81 30fb4c5b741bca565595dabbc0000713
            35355d3563b8c66d5860b4aa2c9a0001 58000000000178eef0a0c46e04ab1646 3000686e147adea650188dc46f87dcdd
            19288000eed5c3976c6b030bbbbe2361 92d861c96f1af400012000000000001b bc2ee7117dbe2515e2c45e00004e7810
            fdf236c4476e1b8c4dc5e262a30003c9 59daa3f7c156f8c6e046e5a48bbc1737 6ab102d2255b8000178a20
            """,
        digest: 0xff45e38fd36e49d7),
    HistogramVector(
        name: "float_buckets_appear_no_reset", isFloat: true, hint: .noReset, count: 20, schema: 2, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-6:13", negativeSpans: "", customBounds: [],
        hex: """
            001440749471bba7f0000c66136b5a02 03e9cc083126e9820288000000000002 0403296872b020c80000000000000000
            00000000000000000000000000000002 02480a3d70a3d7020298072b020c49c2 02680f5c28f5c28a026709374bc6a7e2
            023e10624dd2f1b202630e5604189372 025610624dd2f1a80000000000000000 00000000000000000000000000000007
            c1d4c71b320418b78dcf883e1871eb74 9d47ae98bcfd4189374bc6a7f03789ac 5e7ea0c49ba5e353f9c2dd8185f39768
            a11ade37418316233ff600c000000000 0000d83fd7a9a147ec5a2d09c023c7ac a6fc02f7e154a5b25d32be68e251a9f3
            d06344a4e20dea6851fb168bf789630f f0020083126e978d5bafe60e14d646a3 3caecb459a830627179fa83126e978d4
            ff84fffca0dc24fa9a1459daa3f070bf 6020c49fbe6b765642623b417cee8e2c 1a9f3d06344a47b921459daa25e67c28
            ed95c46e20c400480c29b59dc4bd2800 0000000046b6041fbd74b800c3fff586 0419b4bf7c9378bf6d27fe026038dba0
            1fbe7637372bbd3b957cc59530ffffc0 30a6d67712fdc43fb8490c5e7ea0c49b a5e353f8e186e0c28ed95fcb8db7bade
            3741832000004789cb74debea6bf7291 688f807c368dda000800000000000068 e3fea5adaaed5405bf1b3b33557cf5d8
            6d17ede1f187ffeb0c0833697ef93001 c0000000000002002200000000004c75 74c4fd8301c03a020018000000000000
            400fc0000000001b84fdd8fb51eb8521 5843809e3707c1001d000000000043ca ed6b02147ec642584080030000000000
            00200e4000000000071ba54f9e831a25 400080d7afb84791e4791e41000f0000 0000003a592d81066d2fe0e01d008014
            80851fb168a3e17f375810e5b27c3d7f ec0a3d6f5326e80060000000000001af 5fd08f23c8f23c90007cf9949ccc9000
            40000000000001000400000000004200 0200203e7cca4e669f95dfd22c851fb9 ebd7e0614dacee25e378bb21200000c2
            9b59dc4be20018021459daa286001062 4fdf3c020000851fb168b000
            """,
        digest: 0x50bc9f437cd42d71),
    HistogramVector(
        name: "int_schema8_unknown", isFloat: false, hint: .unknown, count: 40, schema: 8, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-15:10, 1:20", negativeSpans: "", customBounds: [],
        hex: """
            00280074c44b15b1ca45fc00031984a3 e801902040efc083126e9792b053793a 811b985dd823f07531978eadaca963d6
            c1bd6d0000187dc8c4edc619ba4db042 de3711ea0046f88dc00dce1c6df131be 1b68c2de2be14c59a810e018dd9af1dc
            620000be2b63866a806cf1a00001b7c4 98d8c00afad810e25e027500c4edc000 caa0c9de047894fdc185dd806df12313
            b7c4edf0fb90635a77ff7976d60428f2 0bc711b8623700c36eb13aec8ebf13b9 c3835280fbe92aa0428a837387dc621b
            8c40c4edf7586dbe47618830dba0dd20 734a8709eb65200036f89c4eddb8c462 370dd6183148381342b36479080c36eb
            0bbb036f891b8c86e275c2eecd920090 84399db4bc037586dde146276e053698 8acf77852378697d204199c8b0001b7c
            492b178e1b7453788a0298bba8f1a272 014de005a71b5719b1c31bca2681c45d 4c9b870630dba013ac6e0bde4dbe269b
            c22dc2002da49e8709e53dbe1a561bca 4ad788046ede50ba483d8772bb9570e5 66b4ee1bbc35c8dc12b53784eade4607
            9457acd916461788c36eaf12f10567bc a15c2b70003758600002cc65e3caec7e e522d1200011b830fb930bbb2e8177ac
            c4e46625186dd0005e20dce1e56dde16 8c44601a040e45f3e426eb0c00626db9 013ddc8de36680e1cf5bc6e8308001b7
            961c056786dd08de003a7c27ad8b4400 0061f75706eb0c31e8005d08733b697b 11b8c46e275001b9c55400d8a0000281
            0e676d2dc6237188acf11b8003794002 71807c3d5c083f7914de0dc6200186dd 000c2de000517cf5831ae6f2918d830f
            6dda376eb0c0036480000087614fde09 56f20dccb0abc4000920054e51fb168b 22d2000029bc030d1800007ec590dc36
            276e00000de500c5a002f0687ef020fb 7c485378c4edc030fb90036978355194 78d127181bca36f8908de37dce1c0c3e
            e4dc440002f1bc4037387316807dba23 d40832e276e00000024de207ddbdd0ed a1c1b7c4808dc00c36e80b3717002f10
            03758600c4a00fbb3b6870e5e046e000 188dc030a8048acfdc3b1a48178829bc 0c46e06e310958dd2000027cf5929898
            6dd00958de503718802d20
            """,
        digest: 0x42f2f02cc0556a9d),
    HistogramVector(
        name: "float_stale_unknown", isFloat: true, hint: .unknown, count: 40, schema: 1, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-3:7", negativeSpans: "0:1, 3:1", customBounds: [],
        hex: """
            002800748c6f594519ff0000c66128fa 00200800000000000000000000000000 00000000000000000000000000000000
            00000000000000000000000000000000 00000000000000000000000000000000 00000000000000000000000000000000
            00200000000000000020000000000000 007c1d4c6a1b7c457ff87e8038a9fbe7 6c8b44c44ffcc26400b583d80daf4ba0
            20c49ba5e3c25fff801e413d6c5a24f4 3587f113ff76aa0c49ba5e356d07ac2d 1300000000000200164f4384f5b16984
            c8010c467fe88600000000000001b01e d069c00000000000360300d4279b73c0 18536b3b897ac2f5ebb99d32bf788d70
            c5f7fc010624dd2f1aa800a1d80da77f c018536b3b89684e3c68b48bc4a0613b fff8f509e82500000000000222000000
            000000c27fff310ee068180000000000 06d0600da1680400000000000ec0b001 0e000000000000004fb02d04e023c4e5
            ba6d999809d2e929fbe20063000030a6 d67712fe6f07b81a06c1c2bf78cc4fa8 4f8c018313f7a89275aa0c49ba5e35da
            26c0080c29b59dc4bf9b82f68347dc30 a6d67712f70300da16408808f1396e9b 1a76fb2ae811e3d657179fa83126e978
            d4fec3fffef0614dacee25fd8278de0f 589e80e000000000006d0b00dc0e1416 400000000001058f992d020c4b87efe8
            2c697ec590dcd00040000000000009f0 f5ff8028f5bd4c9b9b04f20120000000 00013bb2870a2527ef1d40800710c100
            000000000d81fd99eb7ffffffffff800 3800000000000d62d6006d0614dacee2 5ed5b610614dacee25e43bc1a0d00000
            00000009a000000000000d63f711ed0b 4020043f7c8d4d9000235ba5da23075a f0a6d67712fa1dc16809800000000003
            765f072b020c49bb509e1001cd81f40e 03c689394c4630004189374bc6400000 23c4e5ba6f4272010000000000013006
            f0680c81062b2557ea18fdf3a9b551db 73b010624dd2f1af33c189374bc7027f a1f3974c6a82d787508b3b547ef8da17
            02011e272dd37a80066e0b4062000000 000023b71b63f7ced91688e00db41ea1 fe880100000000000001280500000000
            0006b13c021da1f40d80000000000378 388400000000004001e0000000000010 90000000000004440100000000000370
            58022835000000000004ecd39e395810 624df56db80c29b59dc4ba0014000000 0000006bd6c0c29b59dc4be4d00c0385
            17ef99b400021459daa3c100070afde3 3126348dfa004031592abf7db43f000d 9364d93641000003066b6333661e2883
            126e978d101c0f1a2d22f124a7f1e345 a45e2d9a700c29b59dc4b880023c4e5b a6cbb03a2065000000000008b32d9378
            9eb060a0000000000003567c814dacee 25ff783d23ffe00d01f000000000008e adbe327ef9db22d18700000000000036
            0dca220000000000080ef0b43f000000 00000270288000000000006d0be00e50 0a00000000000880370580
            """,
        digest: 0x428ff91478755351),
    HistogramVector(
        name: "float_gauge_gauge", isFloat: true, hint: .gauge, count: 40, schema: 1, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-5:11", negativeSpans: "", customBounds: [],
        hex: """
            0028c0748c717bb7f0000c66136b5a02 033e820c49ba5e3a027c000000000002 038950c49ba5e352016c24dd2f1a9fb2
            017bfffffffffff201000c49ba5e3542 01a0000000000002014ffffffffffffa 0143ef9db22d0e62010800000000000a
            00d7f7ced9168721ff40000000000001 ffc000000000000201d2020c49ba5e3f c1d4c7207ac6fc001cedc0000000000b
            7dfde0ce995fbc5c30ff7ced9168750d f8ffdf3b645a1d584cffdc45fff360ff f883000407805800000040a795d672e9
            8d50619bc19b83ada177fe8d847cb861 632be7ce96ca3689e360580000be3787 ed8000000000003685820b4fd5506145
            646de0cda1603765603c689394c5c775 d56acaa2cac0ebd788dacee25f41a35e bcffffffffffff3b558536b3b8969b43
            e83000000000009f0c3f7cf5d4dcccc1 e28831592abf33a590624dd2f1aae00d 090000000000118fca623b417d204000
            000000006bd7e818536b3b89bab3f00a 6d67712fe0027ea04399db4c82800000 0000000d81dc3fffe30a3d6f5326ed62
            33ff489078d127298b54894fdeb813a8 a0000000000001af4e60614dacee271b f1a0614dacee24a0e0418ac955fb709f
            37e7ce96c9741d6ac19ad8ccdac0bff4 8200000000000458000000000002ffe4 18536b3b896c000027402fdca45a261d
            f7ddf2e96e876db40dacee25f41a039d b8536b3b897fc26c00c8a00000000000 6dcb87831a2ce55f006b12c878000000
            00008f6e7edce97494fdecd5b730f23c 8f23c8a204000000000003609e6d1bd5 f8000000000002280000000000000da3
            fb86fee1dac08f12a8a018536b3b8961 79030a6d67713c000018536b3b895766 7020c49ba5e3546d238e7b72ba04199c
            8b0a8309fffce237e3f838517ef99b86 001daa2cec09c3709ede0f7e3ff7ced9 1687504c000000000004c39062de3711
            81b43e800c018536b3b891ab2101c28b f7ccdc70000c1b94f5bc087ff7ced916 872023805fb948b44a7d00851fb16880
            d825dff7ced91687504c81851db2b874 0fcb409d3791a6c0000000000020e000 000000003687e1600000000000020061
            4dacee24a6400000000004302b60c2f9 cbb48200000000000105000000000002 04000000000001340000000000000420
            0000000000da2fc001bb2e0061476cae 1e0cf400000000002000c28ed95c3a85 404280000000000438008b6b02147e41
            0000000000000011300000000001060a 93f020c4e4a8100000000000035ebc03 c8f23c8f1fd7a79030a6d67713821a02
            fdca45a2503020fdeba6238a00000000 0000810000000000001c6fff7ced9168 77000d00000000000008200000000000
            8e000980000000000083021db1a88d51 e414000000000006f0f8800100000000 000004e00000000000439d1000000000
            0005ffbc4a4000000000041d9a6ff5b2 6f13d6090001062b2557ea35ebfc0000 000000375aa0c49ba5e35d41fd3bfc80
            614dacee23
            """,
        digest: 0x2547854a00c997a0),
    HistogramVector(
        name: "int_gauge_huge_gauge", isFloat: false, hint: .gauge, count: 40, schema: 0, zeroThreshold: 0.0,
        positiveSpans: "0:4", negativeSpans: "", customBounds: [],
        hex: """
            0028c0004687f0000c66136b5a07c09c 48ffc000000000000237f81388fbec78 f83a98ff20000000000f560d3fc7ffff
            fffffffffffff800000000000011fe04 d0bf03cbae1ff80000000000000047fe 0000000000000017f9ffffffffffffff
            f0ff3ffffffffffffffe3fcfffffffff ffffffbff00000000000000087fe0000 000000000011ff8000000000000005fe
            7ffffffffffffffc3fcfffffffffecec e48ff3ffffffffffffffeffbffffffff ffffed6f0967ed9da603ff0000000001
            2f0ed8ffc000000000000002ff400000 000000012afb761cfc4cd3f87fa00000 000000445b1fe7ffffffffffffffdff8
            000000000000005f11171f6ee90ffc00 00000000000023ff000000000000000b fcfffffffffffffff87f9fffffffffff
            ff691fe7ffffffffffffffdff7ffffff ffffffdade12c3fefffffffffeced7b8 ffc000000000000002ff400000000000
            012af76a7ed9da603fd0000000001312 cf8ff3ffffffffffffffeffc00000000 00000027e2625a03ff00000000000000
            08ffc000000000000002ff3fffffffff fffffe1fe7ffffffffffeec347f9ffff fffffffffff7fdfffffffffffff6b7db
            c3a7c445c3ff0000000000022798ffc0 00000000000002ff400000000000012a f8878cfb77487f9fffffffffd9da5f1f
            e7ffffffffffffffdff8000000000000 004fdb3b4c07fe0000000002625a11ff 8000000000000005fe7fffffffffffff
            fcfc4c4b407f9fffffffffffffff1fe7 ffffffffffffffdff800000000000000 43fefffffffffffffb58ffc000000000
            000002ff3ffffffffffffed2f0961fe8 0000000000002547f9ffffffffffffff f7fe0000000000000977bb50ffbfffff
            ffffb32c0a3ff000000000000000bfcf ffffffffffffffbeddd23f6d0f5e1fe8 00000000099a7ec7f9ffffffffffffff
            f7fe0000000000000017c445c7e25e14 43fefffffffffffffb58ffc000000000 000002ff3ffffffffffffed2f0961fe8
            0000000000002547f9ffffffffffffff f7fe0000000000000977bb50ffc00000 00000000023ff000000000000000bfcf
            ffffffffffffff87f9fffffffffd9da5 f1fe7ffffffffffffffdff8000000000 000004fdb3b4c07fe00000000026250b
            1ff8000000000000005fe7ffffffffff ffda5e12cfc4c4b407f9fffffffffffb c391fe7ffffffffffffffdff80000000
            0000025df6ec39f11170ffc000000000 0088ba3ff000000000000000bfcfffff ffffffffffbe222e3eddd21fe7ffffff
            ffffffffc7f9fffffffffffffff7fe00 00000000000010ffbfffffffffb3b396 3ff000000000000000bfcfffffffffff
            ffb4bc259fb676980ff40000000004c4 c6a3fcfffffffffffffffbff00000000 000004bbdda9f8989680ffc000000000
            0000023ff000000000000000bfcfffff ffffffffff87f9fffffffffffffff1fe 7ffffffffffffffdff80000000000000
            043fefffffffffffddd28ffc00000000 0000002ff3ffffffffffffffefb7748f 888b87f9fffffffffda1e251fe7fffff
            fffffffffdff7ffffffffffffdadf113 c9fb665810ffc0000000004c4c6e3ff0 00000000000000bfd00000000000004a
            bdda9f8989680ff3ffffffffffffffe3 fcfffffffffffffffbff000000000000 00087fe0000000000000011ff8000000
            000000005fe7ffffffffffffffc3fcff fffffffffffb48ff3ffffffffffffffe ffbffffffffffffed6f09600
            """,
        digest: 0x8467482a0371d04c),
    HistogramVector(
        name: "float_buckets_appear_unknown", isFloat: true, hint: .unknown, count: 40, schema: 2, zeroThreshold: 2.938735877055719e-39,
        positiveSpans: "-3:7", negativeSpans: "", customBounds: [],
        hex: """
            00280074946f57f0000c66128fa001ff 000000000000000000000000000001fe 178d4fdf3b6459ff0000000000000000
            00000000000000000000000000000000 00000000000000000000000000000000 000000000000000000000000000007c1
            d4c6b06d60f5830187effaa020c49ba5 e3587effc5e96e876d0e1d889ffe1fa0 04020c49ba5e3530990064004601062b
            2557e622bff80066a3b6570e5a061fff fd0083126e978d8ef4c189374bc6f0ff 0020083126e978d50001000000000001
            84bffe00800440674cafde25d80e00f3 d33b607ef9d86136006ed5614dacee25 b0010030a6d67712f401f5023c4e5ba6
            ca000629fbe7536aa30ffffc8083126e 978d60075030a6d67712bdaa8f1396e9 bd5889ff88000400000000000d61600d
            b9e4000000000016cd2e68b3b027cf66 001c0000000000010006000000000000 d7ac014dacee25f3f58bf20074030a6d
            67712ed9a67020c564aafcb5e9e790fd f23531a40070afde3313bd9a58083126 e978db56dd018536b3b896c002c00000
            000000136017ee522d13a28dd020cce4 5e21000000000000440614dacee25a81 00000000000080030000000000002200
            c189574c4eda0f7e3d91a2be73127800 b018536b3b897c00000614dacee254e9 64189374bc6a80010e0213f7cea6cec0
            b8e871272bb9548000004789cb74d99c edc29b59dc4bfa003e018536b3b896d7 af4c3b6870e5d267665f990dc2f1a5fc
            00c00614dacee25cd5b720614dacee25 a40000030a6d67712d0380428fd8b45f 509fc6fa09eb62d12761af580c29b59d
            c4bfa0000008f1396e9b280800000000 001b81802310183729eb796d0bdd853f 418536b3aa0014070afde3313a870000
            00000000c3d7fe00a3d6f5326e208000 000000004ed1f2822800000000000085 e00000000001b03fbf09eae989fb0678
            00d00614dacee2584140000000000000 027c808d15f3988c7761ac8d4c97810e 6adbc8614dacee25d1000081c2bf78cc
            4f41f06f5ba4ea3c70bfe3c78ed8d44c 000500000000000081000000000000dd 94023c4e5ba6cb00011e272dd36643f0
            20c49fbe649efc648b78dc47a82800ea 18536b3b897c000418ac955fab6e741c 2bf78cc4ec46b0f1e3b6351f8ead7f92
            64b4083127000500000000000047c000 00000000080000020c564aafca038000 0000000395d796f0214c9ba000700000
            00000008280000000000008180000000 0001ac4f0041a00000000000de0f88bf 0438000000000001030042bb497cc9c3
            0c4bb6178f615400070000000000020a 0674cafde24db03e216800000000006e 0bdf8f7d51e3c76c6c85800000000000
            6d0fc1c00000000000102c0c189fbd45 a66e0c1b94f5bc88f008f1396e9b3d5b 7f0c29b59dc4ba356bfc0be830a6d65d
            a1f8e8000000000020e0000000000013 e029b59dc4bf8405c00000000008eecb eddcab870e25800040000000000010d0
            000000000001bf1f004e97494fcce2d2 147ee1d8d600060000000000004001c2 bf78cc4ec30000000000000920709eb6
            2d0f184d59b43f781040014000000000 0010600000000000040000033a657ef1 2dbb2f2023c4a7ee253d59a83062d228
            000a00000000000400043f7c8d4c6a3c 00000000000046cf5dadaaed5ec13f6e 7cadc4be830a649e4199c8bc7ae84000
            418ac955fac1c0e15fbc662792a00000 0000010c3cdaaed55fbd2001a0000000 0000081c0000000000021d0000000000
            008580872d937894798306e53d6f1000 000418ac955fb1058000000000006d13 e399c870a2527ef04080000000000040
            a00000000000400050000000000000
            """,
        digest: 0x2dd3670b9eb8de79)
]
