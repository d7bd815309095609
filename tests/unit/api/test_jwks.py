def test_anybody_may_fetch_the_public_keys_and_keep_them_for_an_hour(client):
    answer = client.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.json() == {"keys": [{"kid": "coordinator-1", "kty": "EC"}]}
    assert answer.headers["cache-control"] == "public, max-age=3600"
