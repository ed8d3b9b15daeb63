/// A certificate for localhost and 127.0.0.1, valid for a hundred years, of a test's own authority.
enum EndpointCertificate {
    static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBlzCCAT2gAwIBAgIUNoRHQ/ejKjd0je8JJgHGJhqoHg0wCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMQXB1cyB0ZXN0IENBMCAXDTI2MTEyOTIwMTk1NVoYDzIxMjYx
        MTA1MjAxOTU1WjARMQ8wDQYDVQQDDAZzZXJ2ZXIwWTATBgcqhkjOPQIBBggqhkjO
        PQMBBwNCAAQpxJMsOagel15UD2hk3wGMqyq7p52K2COj1xWsep3v2cCYp5OKdy9h
        08QjoOEdlwTKPGa0TLPOJ7MPg+yXccPJo2swaTAnBgNVHREEIDAeggtzZXJ2ZXIu
        dGVzdIIJbG9jYWxob3N0hwR/AAABMB0GA1UdDgQWBBQNRsVtjI3lp2z7+lAaXtUH
        vgfkHTAfBgNVHSMEGDAWgBQa7YnnKqOp27+mGf9NSX47WRClzzAKBggqhkjOPQQD
        AgNIADBFAiEAnPdeMGOQyPXHnofc9+O0/ILbtg9lH9HJ9gbeN8p2s38CIDQKZrt0
        axA1+rJ4DSGZeYY4DZqAk24AZKnm/uqXEZOy
        -----END CERTIFICATE-----

        """
    static let key = """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIJ89PPYOLfiIR6pyysol/e4vvSa2Jtuhob5jkmOPEIckoAoGCCqGSM49
        AwEHoUQDQgAEKcSTLDmoHpdeVA9oZN8BjKsqu6editgjo9cVrHqd79nAmKeTincv
        YdPEI6DhHZcEyjxmtEyzziezD4Psl3HDyQ==
        -----END EC PRIVATE KEY-----

        """
    /// Belongs to another certificate.
    static let otherKey = """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIM7uGVb4WrY8SSD8be/AAC1LNtahhpdYN+MtjhPDyxQ2oAoGCCqGSM49
        AwEHoUQDQgAErZ6AOJiWbvbsqhkAXbgaue5bb7aiufWSwDxV18GRQDaOjczCKghF
        9VJheVSh2NXwAZzhgvM4WPz+iJIevHnRcQ==
        -----END EC PRIVATE KEY-----

        """
}
