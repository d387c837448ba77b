"""Prints vectors.json anew: requests that botocore signed, each with the placeholders and with the values.

    python vectors.py > vectors.json        (needs botocore)

botocore is the independent peer. Its clock is stopped, so that the output is the same each time.
"""

import datetime
import json

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

WHEN = datetime.datetime(2026, 11, 30, 12, 34, 56, tzinfo=datetime.timezone.utc)
PLACEHOLDER = ("AKIAPLACEHOLDER2345A", "placeholderplaceholderplaceholder0123456")
VALUE = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")

# name, service, region, method, host, path and query, headers, body, session token
CASES = [
    ("a plain get", "iam", "us-east-1", "GET", "iam.amazonaws.com", "/?Action=ListUsers&Version=2010-05-08", {}, "", None),
    ("a form", "sts", "eu-west-1", "POST", "sts.eu-west-1.amazonaws.com", "/",
     {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, "Action=GetCallerIdentity&Version=2011-06-15", None),
    ("a JSON body", "dynamodb", "us-east-2", "POST", "dynamodb.us-east-2.amazonaws.com", "/",
     {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.ListTables"}, "{\"Limit\":3}", None),
    ("parameters out of order", "ec2", "us-east-1", "GET", "ec2.amazonaws.com", "/?b=2&a=1&a=0&empty=&sp=a%20b&tilde=~", {}, "", None),
    ("an encoded path", "execute-api", "us-east-1", "GET", "x.execute-api.us-east-1.amazonaws.com", "/stage/a%20b/c%3Ad?x=%2F", {}, "", None),
    ("dots in a path", "execute-api", "us-east-1", "GET", "x.execute-api.us-east-1.amazonaws.com", "/stage//a/../b/./c/", {}, "", None),
    ("spaces in a header", "iam", "us-east-1", "GET", "iam.amazonaws.com", "/", {"My-Header": "  a   b  c  "}, "", None),
    ("a session token", "sqs", "us-east-1", "GET", "sqs.us-east-1.amazonaws.com", "/?Action=ListQueues", {}, "",
     ("cel_placeholderOfTheSessionToken0123", "FwoGZXIvYXdzEXAMPLE//////////wEaDEXAMPLETOKEN=")),
    ("an object", "s3", "us-east-1", "PUT", "bucket.s3.amazonaws.com", "/a%20b/c%2Bd//e/../f", {"X-Amz-Meta-K": "v"}, "hello", None),
    ("a listing", "s3", "eu-central-1", "GET", "bucket.s3.eu-central-1.amazonaws.com", "/?list-type=2&prefix=a%2Fb&delimiter=%2F", {}, "", None),
]


def signed(case, credentials):
    _, service, region, method, host, target, headers, body, _ = case
    request = AWSRequest(method=method, url=f"https://{host}{target}", headers=headers, data=body.encode())
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    signer(credentials, service, region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()} | {"host": host}


def vector(case):
    tokens = case[8] or (None, None)
    return {
        "name": case[0],
        "method": case[3],
        "target": case[5],
        "body": case[7],
        "placeholder": signed(case, Credentials(*PLACEHOLDER, tokens[0])),
        "value": signed(case, Credentials(*VALUE, tokens[1])),
    }


botocore.auth.get_current_datetime = lambda remove_tzinfo=True: WHEN.replace(tzinfo=None) if remove_tzinfo else WHEN
print(json.dumps({"ids": [PLACEHOLDER, VALUE], "cases": [vector(case) for case in CASES]}, indent=1))
