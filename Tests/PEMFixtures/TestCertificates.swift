/// Certificates for tests, valid for a hundred years: an authority, three that it signed (`server.test`, `client.test` and
/// `other.test`, each also for localhost and 127.0.0.1), and a stranger that signed itself.
public enum TestCertificates {
    public static let authority = """
        -----BEGIN CERTIFICATE-----
        MIIBhTCCASugAwIBAgIUY9/fvFHIsUHNchkM5kBSLhKtTdAwCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMQXB1cyB0ZXN0IENBMCAXDTI2MTEyOTIwMTk1NVoYDzIxMjYx
        MTA1MjAxOTU1WjAXMRUwEwYDVQQDDAxBcHVzIHRlc3QgQ0EwWTATBgcqhkjOPQIB
        BggqhkjOPQMBBwNCAARpNNuLb5DfJbAQPlW1kvh2ngmwj7lsv8su9w+LlM6pLXjA
        +f3Vfk/gmGczM3EjPsCV6B9nSsLN4iDneMGiPa6eo1MwUTAdBgNVHQ4EFgQUGu2J
        5yqjqdu/phn/TUl+O1kQpc8wHwYDVR0jBBgwFoAUGu2J5yqjqdu/phn/TUl+O1kQ
        pc8wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiASrdxPVceMbdYS
        3EhA1+cnN1srGPolMHqlO1nwC05TgAIhAJkcN3R+lYER9Ag++fiPLaLDmCyTVgwZ
        Iz/9bHgaFtHQ
        -----END CERTIFICATE-----

        """
    public static let serverCertificate = """
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
    public static let serverKey = """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIJ89PPYOLfiIR6pyysol/e4vvSa2Jtuhob5jkmOPEIckoAoGCCqGSM49
        AwEHoUQDQgAEKcSTLDmoHpdeVA9oZN8BjKsqu6editgjo9cVrHqd79nAmKeTincv
        YdPEI6DhHZcEyjxmtEyzziezD4Psl3HDyQ==
        -----END EC PRIVATE KEY-----

        """
    public static let clientCertificate = """
        -----BEGIN CERTIFICATE-----
        MIIBmDCCAT2gAwIBAgIUNoRHQ/ejKjd0je8JJgHGJhqoHg4wCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMQXB1cyB0ZXN0IENBMCAXDTI2MTEyOTIwMTk1NVoYDzIxMjYx
        MTA1MjAxOTU1WjARMQ8wDQYDVQQDDAZjbGllbnQwWTATBgcqhkjOPQIBBggqhkjO
        PQMBBwNCAAT3gPbBQvEbC387kInmE2JyV4Ffh+Tn18mMKfqem7nzU9ciVoEQhfv+
        zAPOwjJgtLcsDVXO5CdD4NpUSU7ZaWMYo2swaTAnBgNVHREEIDAeggtjbGllbnQu
        dGVzdIIJbG9jYWxob3N0hwR/AAABMB0GA1UdDgQWBBTJEf9mr8OWhse9boy0/csb
        DAZCjDAfBgNVHSMEGDAWgBQa7YnnKqOp27+mGf9NSX47WRClzzAKBggqhkjOPQQD
        AgNJADBGAiEA1KqcoM3jX9XxT1PjyWCM0LaTdlA6KY/FKA97dKJ68UACIQCIso8d
        G9M2ASxPnmDOHZs+6EuYu0D8azb8FdWcJaXiLg==
        -----END CERTIFICATE-----

        """
    public static let clientKey = """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIPEWKxR9n5Y1zPXFwcnFQMSzmWcADv0GcZz6nXkJ3VVboAoGCCqGSM49
        AwEHoUQDQgAE94D2wULxGwt/O5CJ5hNicleBX4fk59fJjCn6npu581PXIlaBEIX7
        /swDzsIyYLS3LA1VzuQnQ+DaVElO2WljGA==
        -----END EC PRIVATE KEY-----

        """
    public static let otherCertificate = """
        -----BEGIN CERTIFICATE-----
        MIIBljCCATugAwIBAgIUNoRHQ/ejKjd0je8JJgHGJhqoHg8wCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMQXB1cyB0ZXN0IENBMCAXDTI2MTEyOTIwMTk1NVoYDzIxMjYx
        MTA1MjAxOTU1WjAQMQ4wDAYDVQQDDAVvdGhlcjBZMBMGByqGSM49AgEGCCqGSM49
        AwEHA0IABK2egDiYlm727KoZAF24GrnuW2+2orn1ksA8VdfBkUA2jo3MwioIRfVS
        YXlUodjV8AGc4YLzOFj8/oiSHrx50XGjajBoMCYGA1UdEQQfMB2CCm90aGVyLnRl
        c3SCCWxvY2FsaG9zdIcEfwAAATAdBgNVHQ4EFgQU1DHHS4a2LxkRbz/jzglZclBn
        tB0wHwYDVR0jBBgwFoAUGu2J5yqjqdu/phn/TUl+O1kQpc8wCgYIKoZIzj0EAwID
        SQAwRgIhAOk1h9Dd4kajoWbjUcs1tpEWcBe0T+oCNFRWgUlZXy6+AiEAwv8OGZBo
        G5uN1oJ7+JHowhu+HRUXJwGBT3qByjewemQ=
        -----END CERTIFICATE-----

        """
    public static let otherKey = """
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIM7uGVb4WrY8SSD8be/AAC1LNtahhpdYN+MtjhPDyxQ2oAoGCCqGSM49
        AwEHoUQDQgAErZ6AOJiWbvbsqhkAXbgaue5bb7aiufWSwDxV18GRQDaOjczCKghF
        9VJheVSh2NXwAZzhgvM4WPz+iJIevHnRcQ==
        -----END EC PRIVATE KEY-----

        """
    public static let strangerCertificate = """
        -----BEGIN CERTIFICATE-----
        MIIBljCCAT2gAwIBAgIUbUBthFibTTwzVNDDjSx4lPLYfFwwCgYIKoZIzj0EAwIw
        EzERMA8GA1UEAwwIc3RyYW5nZXIwIBcNMjYxMTI5MjAxOTU1WhgPMjEyNjExMDUy
        MDE5NTVaMBMxETAPBgNVBAMMCHN0cmFuZ2VyMFkwEwYHKoZIzj0CAQYIKoZIzj0D
        AQcDQgAEat19Taevny+t3F6UXQMRP2/h4iQQpF70X9Fv7TL21CBnkOlo63Tj3ntJ
        c8AW6ZoFBX/hU7Jb9rFt70FxnYDw4KNtMGswHQYDVR0OBBYEFNcvAmMfXN8FVnbm
        Vhi+bI8bNAYBMB8GA1UdIwQYMBaAFNcvAmMfXN8FVnbmVhi+bI8bNAYBMA8GA1Ud
        EwEB/wQFMAMBAf8wGAYDVR0RBBEwD4INc3RyYW5nZXIudGVzdDAKBggqhkjOPQQD
        AgNHADBEAiBqFDlqnJeb0+Oso+4EdgttxEz8cafRPlThk8aNkaT18gIgaHGM9fTV
        GWq+6MRI5fyttIntRUNPT4G3RttTLGbU18Q=
        -----END CERTIFICATE-----

        """
    public static let strangerKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0Ni8vxISWe/qgOhi
        jkyO2RiLD28cEa7TWG6su9wbvrahRANCAARq3X1Np6+fL63cXpRdAxE/b+HiJBCk
        XvRf0W/tMvbUIGeQ6WjrdOPee0lzwBbpmgUFf+FTslv2sW3vQXGdgPDg
        -----END PRIVATE KEY-----

        """
}
