"""The URL of the shared journal: what is refused names the part that is wrong, and never holds the password."""

import pytest

from preppald.config.database_url import database_url, unverified
from preppald.config.values import Invalid

PASSWORD = "canary-password"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://preppald:{PASSWORD}@db.example.com/app",
        f"postgres://preppald:{PASSWORD}@db.example.com:5432/app?sslmode=require",
        "postgresql://a:5432,b:5433/app?target_session_attrs=read-write",
        "postgresql://u:p%40ss%2F%23@[2001:db8::1]:5432/app",
        "postgresql:///app?host=/run/postgresql",
        "postgresql://localhost",
    ],
)
def test_what_postgresqls_own_programs_take_is_taken(url: str) -> None:
    assert database_url(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"mysql://u:{PASSWORD}@h/app", "is not a URL like postgresql://"),
        (f"postgresql://u:{PASSWORD} @h/app", "is not a URL like postgresql://"),
        (f"postgresql://u:{PASSWORD}#1@h/app", "%23"),
        (f"postgresql://u:{PASSWORD}@1@h/app", "%40"),
        (f"postgresql://u:{PASSWORD}/1@h/app", "%2F"),
        ("postgresql://u@h:port/app", "a host that is none"),
        (f"postgresql://u:{PASSWORD}@h/app?options=-csearch_path%3Dx", "poolers refuse"),
        (f"postgresql://u:{PASSWORD}@h/app?schema=public", "Prisma's"),
        (f"postgresql://u:{PASSWORD}@h/app?pgbouncer=true", "Prisma's"),
        (f"postgresql://u:{PASSWORD}@h/app?sslmod=require", "'sslmod'"),
        (f"postgresql://u:{PASSWORD}@h/app?require", "name=value"),
        (f"postgresql://u:{PASSWORD}%zz@h/app", "%25"),
        (f"postgresql://u:{PASSWORD}%@h/app", "%25"),
        (f"postgresql://u:{PASSWORD}%4@h/app", "%25"),
        (f"postgresql://h/app?user=u&password={PASSWORD}%", "%25"),
        (f"postgresql://u:{PASSWORD}%00@h/app", "%00"),
        (f"postgresql://u:{PASSWORD}%ff@h/app", "UTF-8"),
        (f"postgresql://h/app?password={PASSWORD}%C3", "UTF-8"),
        (f"postgresql://h/app?password={PASSWORD}==", "%3D"),
    ],
)
def test_what_cannot_be_meant_is_refused(url: str, why: str) -> None:
    with pytest.raises(Invalid) as refused:
        database_url(url)
    assert why in str(refused.value)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("postgresql://db.example.com/app", ""),
        ("postgresql://db.example.com/app?sslmode=verify-full", ""),
        ("postgresql://db.example.com/app?sslmode=require", "require"),
        ("postgresql://127.0.0.1,db.example.com:1/app?sslmode=disable", "disable"),
        ("postgresql:///app?host=db.example.com&sslmode=prefer", "prefer"),
        ("postgresql://127.0.0.1:5432/app?sslmode=disable", ""),
        ("postgresql://[::1]/app?sslmode=disable", ""),
        ("postgresql:///app?host=/run/postgresql&sslmode=disable", ""),
    ],
)
def test_a_mode_by_which_others_may_listen_is_noticed(url: str, mode: str) -> None:
    assert unverified(url) == mode
